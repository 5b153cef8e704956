//! What the mains of the functions have in common: logs, the environment, the loop.

use std::future::Future;

use futures::FutureExt;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::Value;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Logs as one line of JSON each, on stdout as Lambda collects them.
pub fn log_as_json() {
    let own = std::env::var("QTRAIL_LOG").ok().and_then(|filter| filter.parse::<Targets>().ok());
    let filter = own
        .unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO).with_target("aws_config", LevelFilter::WARN));
    let lines = tracing_subscriber::fmt::layer().json().flatten_event(true).with_target(false);
    tracing_subscriber::registry().with(lines).with(filter).init();
    // A panic's message may quote a record; where it happened is enough.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        tracing::error!(place, "panic");
    }));
}

/// Serves invocations with `handle` until the process is ended.
pub async fn serve<F, R>(handle: F) -> Result<(), Error>
where
    F: Fn(Value, String) -> R,
    R: Future<Output = Result<Value, crate::Error>>,
{
    let service = service_fn(|event: LambdaEvent<Value>| {
        // Boxed: the compiler cannot lay out the whole stack of futures as one.
        let handled = handle(event.payload, event.context.request_id).boxed_local();
        async move { handled.await.map_err(Error::from) }
    });
    lambda_runtime::run(service).await
}
