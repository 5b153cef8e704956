//! S3 log delivery, through SQS: findings, alerts.

use cloud::deployment::Deployment;
use cloud::function::{log_as_json, serve};
use cloud::ingest::Ingest;
use lambda_runtime::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    log_as_json();
    let ingest = Ingest::new(Deployment::from_environment().await?);
    let ingest = &ingest;
    serve(|invocation, request| async move { ingest.handle(invocation, &request).await }).await
}
