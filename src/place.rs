//! Which state a command works with: a folder's, with its own engine, or a deployment's table.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::Credentials;
use cloud::deployment::Deployment;
use cloud::metrics::Metrics;
use cloud::state::State;
use cloud::stores::{Stores, folder};
use dynoxide::{Database, server};
use tokio::net::TcpListener;
use trail::settings::Own;

use crate::cli::StateArgs;

/// The table in a folder's database, and the name that is suggested for a deployment's.
const TABLE: &str = "quickinfra-trail";

/// The state that the arguments mean.
pub(crate) async fn state(arguments: &StateArgs) -> anyhow::Result<State> {
    if let Some(table) = &arguments.table {
        let config = cloud::deployment::sdk_config().await;
        return Ok(State::new(aws_sdk_dynamodb::Client::new(&config), table));
    }
    if !arguments.data.join("state.db").exists() {
        bail!(
            "{} holds no state: run qtrail ingest first, or name a deployment's table with --table",
            arguments.data.display()
        );
    }
    embedded(&arguments.data).await
}

/// The state in a folder. Its engine runs in this process, on a loopback port, for as long as the process does.
pub(crate) async fn embedded(data: &Path) -> anyhow::Result<State> {
    std::fs::create_dir_all(data).with_context(|| format!("{}", data.display()))?;
    let path = data.join("state.db");
    let shown = path.display().to_string();
    let database = Database::new(&shown).map_err(|e| anyhow::anyhow!("{shown}: {e}"))?;
    let listener = TcpListener::bind("127.0.0.1:0").await.context("a loopback port for the embedded table")?;
    let endpoint = format!("http://{}", listener.local_addr()?);
    tokio::spawn(server::serve_on(listener, database));
    let state = State::new(aws_sdk_dynamodb::Client::new(&local_config(&endpoint)), TABLE);
    state.create_table().await?;
    Ok(state)
}

/// What handlers work with in a folder: its own state and lake, nobody to tell, and no settings unless they are added.
pub(crate) fn deployment(state: State, data: &Path, stores: Arc<Stores>) -> anyhow::Result<Deployment> {
    Ok(Deployment {
        state,
        stores,
        data: folder(data)?,
        alerts: None,
        metrics: Metrics::Off,
        own: Own::default(),
        settings: None,
        fast_path: None,
        parts: cloud::state::Parts::default(),
        publisher_timeout: 0,
    })
}

fn local_config(endpoint: &str) -> SdkConfig {
    let credentials = Credentials::new("local", "local", None, None, "embedded table");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("local"))
        .endpoint_url(endpoint)
        .credentials_provider(aws_sdk_dynamodb::config::SharedCredentialsProvider::new(credentials))
        .build()
}
