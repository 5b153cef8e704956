//! A schedule: reviews are looked after, and what is late, overdue or back is told.

use cloud::deployment::Deployment;
use cloud::function::{log_as_json, serve};
use cloud::review::handler::Review;
use lambda_runtime::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    log_as_json();
    let deployment = Deployment::from_environment().await?;
    let populations = deployment.data.clone();
    let review = Review::new(deployment, populations);
    let review = &review;
    serve(|invocation, _| async move { review.handle(invocation).await }).await
}
