//! Schedule and queue: sorted days of the lake.

use cloud::collect::{Collector, Options};
use cloud::compact::Compact;
use cloud::deployment::{Deployment, compact_queue, sdk_config};
use cloud::function::{log_as_json, serve};
use lambda_runtime::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    log_as_json();
    let deployment = Deployment::from_environment().await?;
    let options = Options { home: deployment.own.account.clone(), ..Options::default() };
    let mut compact = Compact::new(deployment);
    if let Some(url) = compact_queue() {
        compact = compact.through(Collector::connect(&sdk_config().await, options).await?, url);
    }
    let compact = &compact;
    serve(|invocation, request| async move { compact.handle(invocation, &request).await }).await
}
