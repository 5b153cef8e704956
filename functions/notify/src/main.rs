//! A schedule: alerts that are still owed, the daily summary, the pulse.

use cloud::deployment::Deployment;
use cloud::function::{log_as_json, serve};
use cloud::notify::Notify;
use lambda_runtime::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    log_as_json();
    let notify = Notify::new(Deployment::from_environment().await?);
    let notify = &notify;
    serve(|invocation, _| async move { notify.handle(invocation).await }).await
}
