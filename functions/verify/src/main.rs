//! A schedule: digests that were delivered are verified, and what should have come is asked for.

use cloud::collect::{Collector, Options};
use cloud::deployment::{Deployment, sdk_config};
use cloud::function::{log_as_json, serve};
use cloud::verify::Verify;
use lambda_runtime::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    log_as_json();
    let deployment = Deployment::from_environment().await?;
    let options = Options { home: deployment.own.account.clone(), ..Options::default() };
    let collector = Collector::connect(&sdk_config().await, options).await?;
    let verify = Verify::new(deployment, collector);
    let verify = &verify;
    serve(|invocation, _| async move { verify.handle(invocation).await }).await
}
