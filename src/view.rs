//! `qtrail view`: the page, on this machine.

use std::sync::Arc;

use anyhow::{Context, bail};
use axum::Router;
use cloud::asking::{Asking, Caller};
use cloud::stores::{Stores, folder};
use lake::Lake;
use page::Viewer;
use page::security::Loopback;
use ring::rand::{SecureRandom, SystemRandom};
use tokio::net::TcpListener;
use trail::record::hex;

use crate::Ending;
use crate::cli::ViewArgs;
use crate::output::{self, Printer};
use crate::{findings, input, place};

/// Whose pages are shown.
enum Pages {
    /// Made here, from a lake and a state.
    Own(Box<Viewer>),
    /// Made by a deployment's function.
    Function(Box<Caller>),
}

/// Runs the command, until it is interrupted.
pub(crate) async fn run(arguments: ViewArgs) -> anyhow::Result<Ending> {
    if !arguments.listen.ip().is_loopback() {
        bail!("{} can be reached from elsewhere: use 127.0.0.1, and a tunnel where you need one", arguments.listen);
    }
    let pages = router(pages(&arguments).await?);
    let listener = TcpListener::bind(arguments.listen).await.with_context(|| format!("{}", arguments.listen))?;
    serve(listener, pages).await
}

/// Serves pages to whoever has the address that is printed.
pub(crate) async fn serve(listener: TcpListener, pages: Router) -> anyhow::Result<Ending> {
    let address = listener.local_addr()?;
    let token = token()?;
    let door = Loopback::new(address, &token, Asking::local(&findings::who(), cloud::deployment::now()));
    Printer::new().line(&format!("http://{address}/?token={token}"))?;
    output::note("open this address; Ctrl-C ends it");
    let stop = async { drop(tokio::signal::ctrl_c().await) };
    axum::serve(listener, door.before(pages)).with_graceful_shutdown(stop).await?;
    Ok(Ending::Done)
}

/// What nobody else on this machine can guess.
fn token() -> anyhow::Result<String> {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).map_err(|_| anyhow::anyhow!("this machine gives no random numbers"))?;
    Ok(hex(&bytes))
}

async fn pages(arguments: &ViewArgs) -> anyhow::Result<Pages> {
    if let Some(name) = &arguments.function {
        let config = cloud::deployment::sdk_config().await;
        return Ok(Pages::Function(Box::new(Caller::connect(&config, name).await?)));
    }
    let settings = input::settings(arguments.state.settings.as_deref())?;
    let stores = Arc::new(Stores::new(cloud::deployment::sdk_config().await));
    let place = match &arguments.lake {
        Some(url) => stores.open(url)?,
        None if arguments.state.data.is_dir() => folder(&arguments.state.data)?,
        None => bail!("{} is not there: run qtrail ingest first, or name a lake", arguments.state.data.display()),
    };
    // Of a deployment's lake the log files lie in its log buckets, of a folder's where they were read.
    let log_buckets = if arguments.lake.is_some() { settings.own.log_buckets.clone() } else { Vec::new() };
    let viewer = Viewer::new(Lake::new(place.store.clone(), place.prefix.clone()), settings);
    // Of a deployment's reviews nobody decides here: this machine proves nobody.
    let viewer = viewer.with_reviews(place, arguments.lake.is_none());
    let viewer =
        if arguments.lake.is_some() && log_buckets.is_empty() { viewer } else { viewer.with_logs(stores, log_buckets) };
    // A lake alone is enough to search in.
    let has_state = arguments.state.table.is_some() || arguments.state.data.join("state.db").exists();
    let viewer = if has_state { viewer.with_state(place::state(&arguments.state).await?) } else { viewer };
    Ok(Pages::Own(Box::new(viewer)))
}

fn router(pages: Pages) -> Router {
    match pages {
        Pages::Own(viewer) => page::router(Arc::new(*viewer)),
        Pages::Function(caller) => page::forward::pages(*caller),
    }
}
