//! The settings in force: read anew every minute, and never worse than the last good ones.

use std::sync::{Arc, Mutex};

use trail::detection::Engine;
use trail::settings::Settings;
use trail::time::Time;

use crate::deployment::Deployment;
use crate::error::Error;
use crate::stores::Place;

/// How long settings are believed, in seconds.
const KEPT_SECONDS: i64 = 60;

/// The engine under the settings in force.
#[derive(Debug, Default)]
pub struct Engines {
    current: Mutex<Option<Current>>,
}

#[derive(Debug, Clone)]
struct Current {
    text: String,
    read: Time,
    engine: Arc<Engine>,
}

impl Engines {
    /// The engine under the settings that are in force now.
    pub async fn current(&self, deployment: &Deployment, now: Time) -> Result<Arc<Engine>, Error> {
        let known = self.known();
        if let Some(current) = &known
            && now.0 - current.read.0 < KEPT_SECONDS
        {
            return Ok(current.engine.clone());
        }
        let text = in_force(deployment, known.as_ref()).await?;
        let engine = match known {
            Some(current) if current.text == text => current.engine,
            _ => Arc::new(engine(deployment, &text)?),
        };
        *self.current.lock().unwrap_or_else(std::sync::PoisonError::into_inner) =
            Some(Current { text, read: now, engine: engine.clone() });
        Ok(engine)
    }

    fn known(&self) -> Option<Current> {
        self.current.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }
}

/// The settings that the functions that may read `config.toml` keep in the table. For those that may not.
pub async fn kept(deployment: &Deployment) -> Result<Settings, Error> {
    let text = last_good(deployment).await?;
    let settings = Settings::from_toml(&text).map_err(|e| Error::Configuration(format!("config.toml: {e}")))?;
    Ok(deployment.with_own(settings))
}

fn engine(deployment: &Deployment, text: &str) -> Result<Engine, Error> {
    let settings = Settings::from_toml(text).map_err(|e| Error::Configuration(format!("config.toml: {e}")))?;
    Ok(Engine::new(deployment.with_own(settings)))
}

/// The text to use: what is in the store if it is good, else the last that was.
async fn in_force(deployment: &Deployment, known: Option<&Current>) -> Result<String, Error> {
    let Some(place) = &deployment.settings else { return Ok(String::new()) };
    match usable(deployment, place, known).await {
        Ok(text) => {
            if known.is_none_or(|current| current.text != text) {
                deployment.state.keep_settings(&text).await?;
            }
            Ok(text)
        }
        Err(error) => {
            tracing::error!(%error, "config.toml cannot be used; the last good settings stay in force");
            deployment.metrics.emit(&[("SettingsErrors", 1)]);
            match known {
                Some(current) => Ok(current.text.clone()),
                None => last_good(deployment).await,
            }
        }
    }
}

/// The settings that were kept, unless this version no longer takes them: then the defaults, which leave nothing out.
async fn last_good(deployment: &Deployment) -> Result<String, Error> {
    let text = deployment.state.last_settings().await?.unwrap_or_default();
    Ok(match Settings::from_toml(&text) {
        Ok(_) => text,
        Err(error) => {
            tracing::error!(%error, "the last good settings cannot be used either; the defaults are in force");
            String::new()
        }
    })
}

/// What is in the store, if it can be read and used. Settings that are gone are not settings that were emptied.
async fn usable(deployment: &Deployment, place: &Place, known: Option<&Current>) -> Result<String, Error> {
    let Some(bytes) = place.read().await? else {
        let before = match known {
            Some(current) => current.text.clone(),
            None => deployment.state.last_settings().await?.unwrap_or_default(),
        };
        let gone = "it is no longer there; put an empty one to go back to the defaults";
        return if before.is_empty() { Ok(before) } else { Err(Error::Configuration(gone.to_owned())) };
    };
    let text = String::from_utf8_lossy(&bytes).into_owned();
    if known.is_none_or(|current| current.text != text) {
        Settings::from_toml(&text).map_err(|error| Error::Configuration(error.to_string()))?;
    }
    Ok(text)
}
