//! The function's side: STS is asked who signed.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_smithy_runtime_api::client::http::{HttpConnector as _, SharedHttpConnector};
use aws_smithy_runtime_api::http::Request as HttpRequest;
use bytes::Bytes;
use trail::settings::{Own, Settings};
use trail::time::Time;

use super::{Asked, Asking, Proof, Refused, Voucher};
use crate::collect::endpoint::Endpoints;
use crate::collect::refusal;
use crate::collect::xml::Element;
use crate::error::Error;
use crate::state::State;
use crate::wire;

/// How long STS may take.
const STS_TIME: Duration = Duration::from_secs(5);

/// The largest answer of STS that is read, in bytes.
const LARGEST: usize = 64 << 10;

/// Finds out who asks. Nothing is remembered from one request to the next: each is proven by itself.
#[derive(Debug)]
pub struct Judge {
    connector: SharedHttpConnector,
    endpoints: Endpoints,
    stack: String,
    account: String,
}

impl Judge {
    /// A judge for this stack. STS's address follows from the function's region alone, or, in tests, from the SDK's
    /// own configuration (`AWS_ENDPOINT_URL_STS`).
    pub fn new(config: &SdkConfig, own: &Own) -> Result<Self, Error> {
        Ok(Self {
            connector: wire::connector(config, STS_TIME)?,
            endpoints: Endpoints::new(config),
            stack: stack_id(&own.account, &own.stack),
            account: own.account.clone(),
        })
    }

    /// Who makes this request: somebody of the organization, and with a decision, for the first time.
    pub async fn who(&self, asked: &Asked, voucher: &Voucher, state: &State, now: Time) -> Result<Asking, Refused> {
        let asking = self.prove(asked, voucher, now).await?;
        let known = self.organization(state).await?;
        admit(&asking, &known)?;
        if asked.decides() {
            let name = format!("{} {}", asking.arn.as_deref().unwrap_or_default(), voucher.nonce);
            if !state.first_use(&name, now).await? {
                let why = "this decision was taken in already: load the page again to see how things stand";
                return Err(Refused::new(409, why));
            }
        }
        Ok(asking)
    }

    /// Whom STS names.
    pub(super) async fn prove(&self, asked: &Asked, voucher: &Voucher, now: Time) -> Result<Asking, Refused> {
        asked.check()?;
        let question = voucher.question(asked, &self.stack, &self.endpoints, now)?;
        let (status, body) = tokio::time::timeout(STS_TIME, self.ask(question)).await.map_err(|_| unanswered())??;
        if !(200..300).contains(&status) {
            return Err(refused(status, &body));
        }
        let answer = Element::parse(&body).map_err(|_| unanswered())?;
        let text = |name| answer.text_of(name).filter(|text| !text.is_empty()).map(str::to_owned);
        let (Some(arn), Some(account)) = (text("Arn"), text("Account")) else { return Err(unanswered()) };
        Ok(Asking {
            who: shown(&arn),
            arn: Some(arn),
            account: Some(account),
            groups: Vec::new(),
            proven: Proof::Signed,
            address: String::new(),
            at: now,
        })
    }

    async fn ask(&self, question: HttpRequest) -> Result<(u16, Bytes), Refused> {
        let response = self.connector.call(question).await.map_err(|_| unanswered())?;
        let status = response.status().as_u16();
        Ok((status, wire::body(response, LARGEST).await.map_err(|_| unanswered())?))
    }

    /// The accounts whose people may look: this one, those of the organization, and those that the settings name.
    async fn organization(&self, state: &State) -> Result<BTreeSet<String>, Error> {
        let mut accounts: BTreeSet<String> = state.audited().await?.unwrap_or_default().into_iter().collect();
        let settings = state.last_settings().await?.unwrap_or_default();
        accounts.extend(Settings::from_toml(&settings).unwrap_or_default().accounts.into_keys());
        accounts.insert(self.account.clone());
        Ok(accounts)
    }
}

/// A stack among all stacks: names alone are not unique.
pub(super) fn stack_id(account: &str, stack: &str) -> String {
    format!("{account}/{stack}")
}

/// Lets in who belongs to one of the accounts.
pub(super) fn admit(asking: &Asking, accounts: &BTreeSet<String>) -> Result<(), Refused> {
    let account = asking.account.as_deref().unwrap_or_default();
    if accounts.contains(account) {
        return Ok(());
    }
    let why = format!(
        "{} belongs to account {account}, which is not in the organization: if it is one of yours, name it under \
         [accounts] in config.toml",
        asking.arn.as_deref().unwrap_or_default()
    );
    Err(Refused::new(403, why))
}

/// What STS's refusal means. Its message is left out: it may repeat what was signed.
fn refused(status: u16, body: &[u8]) -> Refused {
    let code = refusal::read(status, None, body).code;
    if status >= 500 || status == 429 || code.contains("Throttling") {
        return unanswered();
    }
    let hint = match code.as_str() {
        "ExpiredToken" | "ExpiredTokenException" => "sign in to AWS again",
        "SignatureDoesNotMatch" => "the proof was made for something else, or with other credentials",
        _ => "check the credentials that qtrail signs with",
    };
    Refused::new(403, format!("STS does not confirm who asks ({code}): {hint}"))
}

fn unanswered() -> Refused {
    Refused::new(503, "STS did not say who asks: try again")
}

/// `arn:aws:sts::111122223333:assumed-role/Admin/alice` is alice, as Admin.
fn shown(arn: &str) -> String {
    let resource = arn.splitn(6, ':').nth(5).unwrap_or(arn);
    let parts: Vec<&str> = resource.split('/').collect();
    match parts[..] {
        ["assumed-role", role, session] => format!("{session} ({role})"),
        [_, .., name] => name.to_owned(),
        _ => resource.to_owned(),
    }
}
