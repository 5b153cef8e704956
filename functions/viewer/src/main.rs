//! The pages of the viewer, for whoever proves who he is.

use std::sync::Arc;

use axum::Router;
use cloud::asking::Judge;
use cloud::deployment::{Deployment, now, sdk_config};
use cloud::function::{log_as_json, serve};
use cloud::settings::kept;
use lambda_runtime::Error;
use page::Viewer;
use page::door::Door;
use tokio::sync::Mutex;
use trail::settings::Settings;

/// How long settings are believed, in seconds: who may no longer sign a review off does so no longer than that.
const KEPT_SECONDS: i64 = 60;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    log_as_json();
    let deployment = Deployment::from_environment().await?;
    let settings = kept(&deployment).await?;
    let pages = pages(&deployment, settings.clone());
    let door = match std::env::var("QTRAIL_VIEWER_DOOR").as_deref() {
        Ok("token") => Door::token(pages),
        _ => Door::signed(pages, Judge::new(&sdk_config().await, &deployment.own)?, deployment.state.clone()),
    };
    let (door, deployment, known) = (&door, &deployment, &Mutex::new((now(), settings)));
    serve(|invocation, _| async move {
        let mut known = known.lock().await;
        if now().0 - known.0.0 > KEPT_SECONDS {
            let settings = kept(deployment).await?;
            if settings != known.1 {
                door.show(self::pages(deployment, settings.clone()));
            }
            *known = (now(), settings);
        }
        drop(known);
        Ok(door.handle(invocation).await)
    })
    .await
}

fn pages(deployment: &Deployment, settings: Settings) -> Router {
    let viewer = Viewer::new(deployment.lake(), settings).with_state(deployment.state.clone()).logging_searches(true);
    let viewer = viewer
        .with_reviews(deployment.data.clone(), false)
        .with_logs(deployment.stores.clone(), deployment.own.log_buckets.clone());
    page::router(Arc::new(viewer))
}
