//! A schedule and a queue of accounts: trail settings are collected, judged, kept and told.

use cloud::audit::{Audit, Known};
use cloud::deployment::{Deployment, sdk_config};
use cloud::function::{log_as_json, serve};
use lambda_runtime::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    log_as_json();
    let deployment = Deployment::from_environment().await?;
    let audit = Audit::connect(deployment, Known::from_environment()?, &sdk_config().await).await?;
    let audit = &audit;
    serve(|invocation, _| async move { audit.handle(invocation).await }).await
}
