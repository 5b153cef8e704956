//! A table in memory, behind the protocol that the real one speaks.

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
use cloud::state::State;
use dynoxide::{Database, server};
use tokio::net::TcpListener;

/// A state that holds nothing.
pub(crate) async fn empty() -> anyhow::Result<State> {
    let state = at(&serve().await?);
    state.create_table().await?;
    Ok(state)
}

/// Serves a database for as long as the runtime lives. Yields its address.
pub(crate) async fn serve() -> anyhow::Result<String> {
    let database = Database::memory().map_err(|error| anyhow::anyhow!("{error}"))?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let endpoint = format!("http://{}", listener.local_addr()?);
    tokio::spawn(server::serve_on(listener, database));
    Ok(endpoint)
}

/// The state that is served there.
pub(crate) fn at(endpoint: &str) -> State {
    let credentials = Credentials::new("local", "local", None, None, "embedded table");
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("local"))
        .endpoint_url(endpoint)
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build();
    State::new(aws_sdk_dynamodb::Client::new(&config), "trail")
}
