//! A schedule: reviews are opened and looked after, evidence is packed, and what is late, overdue or back is told.

use cloud::deployment::{Deployment, sdk_config};
use cloud::function::{log_as_json, serve};
use cloud::review::duties::Duties;
use lambda_runtime::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    log_as_json();
    let deployment = Deployment::from_environment().await?;
    let duties = Duties::connect(deployment, &sdk_config().await).await?;
    let duties = &duties;
    serve(|invocation, _| async move { duties.handle(invocation).await }).await
}
