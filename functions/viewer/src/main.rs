//! The pages of the viewer, for whoever proves who he is.

use std::sync::Arc;

use cloud::asking::Judge;
use cloud::deployment::{Deployment, sdk_config};
use cloud::function::{log_as_json, serve};
use cloud::settings::kept;
use lambda_runtime::Error;
use page::Viewer;
use page::door::Door;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    log_as_json();
    let deployment = Deployment::from_environment().await?;
    let settings = kept(&deployment).await?;
    let viewer = Viewer::new(deployment.lake(), settings).with_state(deployment.state.clone()).logging_searches(true);
    let viewer = viewer
        .with_reviews(deployment.data.clone(), false)
        .with_logs(deployment.stores.clone(), deployment.own.log_buckets.clone());
    let pages = page::router(Arc::new(viewer));
    let door = match std::env::var("QTRAIL_VIEWER_DOOR").as_deref() {
        Ok("token") => Door::token(pages),
        _ => Door::signed(pages, Judge::new(&sdk_config().await, &deployment.own)?, deployment.state.clone()),
    };
    let door = &door;
    serve(|invocation, _| async move { Ok(door.handle(invocation).await) }).await
}
