//! The person's side: each request is vouched for and handed to the viewer's function.

use std::time::{Duration, SystemTime};

use aws_config::{Region, SdkConfig};
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_smithy_runtime_api::client::http::{HttpConnector as _, SharedHttpConnector};
use aws_smithy_runtime_api::client::identity::Identity;
use aws_smithy_runtime_api::http::StatusCode;
use bytes::Bytes;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::judge::stack_id;
use super::{Answered, Asked, Refused, Vouched, Voucher};
use crate::collect::endpoint::Endpoints;
use crate::collect::{Collector, Options, refusal};
use crate::error::Error;
use crate::wire::{self, Request};

/// How long the function may take: longer than its own time limit.
const FUNCTION_TIME: Duration = Duration::from_secs(65);

/// Lambda's own limit of an answer, in bytes, and something for what surrounds it.
const LARGEST: usize = 8 << 20;

/// What the function's name ends with; the stack's name stands before.
const SUFFIX: &str = "-viewer";

/// Asks the viewer's function in somebody's name.
#[derive(Debug)]
pub struct Caller {
    connector: SharedHttpConnector,
    endpoints: Endpoints,
    lambda: String,
    credentials: SharedCredentialsProvider,
    function: String,
    stack: String,
}

impl Caller {
    /// A caller of the function of this name or ARN, with the credentials of the SDK's configuration. Asks STS once whose
    /// account that is: it is part of what is signed.
    pub async fn connect(config: &SdkConfig, function: &str) -> Result<Self, Error> {
        let parts: Vec<&str> = function.split(':').collect();
        let (region, account, name) = match parts[..] {
            [name] => (None, None, name),
            ["arn", _, "lambda", region, account, "function", name] => (Some(region), Some(account), name),
            _ => return Err(not_a_viewer(function)),
        };
        let stack = name.strip_suffix(SUFFIX).filter(|stack| !stack.is_empty());
        let stack = stack.ok_or_else(|| not_a_viewer(function))?;
        let config = match region {
            Some(region) => config.to_builder().region(Region::new(region.to_owned())).build(),
            None => config.clone(),
        };
        let missing = || Error::Configuration("there are no AWS credentials to ask with".to_owned());
        let credentials = config.credentials_provider().ok_or_else(missing)?;
        let account = match account {
            Some(account) => account.to_owned(),
            None => Collector::connect(&config, Options::default()).await?.home().to_owned(),
        };
        let endpoints = Endpoints::new(&config);
        Ok(Self {
            connector: wire::connector(&config, FUNCTION_TIME)?,
            lambda: endpoints.address("lambda"),
            endpoints,
            credentials,
            function: function.to_owned(),
            stack: stack_id(&account, stack),
        })
    }

    #[cfg(test)]
    pub(super) fn at_lambda(self, lambda: &str) -> Self {
        Self { lambda: lambda.to_owned(), ..self }
    }

    /// The stack that is asked: its account and name.
    pub fn stack(&self) -> &str {
        &self.stack
    }

    /// Makes a request. What keeps it from the function is a refusal that says what to do.
    pub async fn ask(&self, asked: Asked) -> Result<Answered, Refused> {
        let lacking = |error| Refused::new(401, format!("there are no AWS credentials to sign with: {error}"));
        let identity = Identity::from(self.credentials.provide_credentials().await.map_err(lacking)?);
        let vouched = self.vouch(asked, &identity)?;
        let payload = serde_json::to_vec(&vouched).map_err(|error| Refused::new(400, error.to_string()))?;
        let bytes = self.invoke(payload.into(), &identity).await?;
        serde_json::from_slice(&bytes).map_err(|_| Refused::new(502, format!("{} is no viewer", self.function)))
    }

    pub(super) fn vouch(&self, asked: Asked, identity: &Identity) -> Result<Vouched, Refused> {
        let voucher = Voucher::sign(&asked, &self.stack, &self.endpoints, (identity, SystemTime::now()));
        let unsigned = |problem| Refused::new(500, format!("the request cannot be signed: {problem}"));
        Ok(Vouched { asked, voucher: voucher.map_err(unsigned)? })
    }

    async fn invoke(&self, payload: Bytes, identity: &Identity) -> Result<Bytes, Refused> {
        let name = utf8_percent_encode(&self.function, NON_ALPHANUMERIC);
        let request = Request {
            service: "lambda",
            signing_region: self.endpoints.region.clone(),
            method: "POST",
            url: format!("{}/2015-03-31/functions/{name}/invocations", self.lambda),
            headers: vec![("content-type", "application/json".to_owned())],
            body: payload,
        };
        let unsigned = |problem| Refused::new(500, format!("the request cannot be signed: {problem}"));
        let sent = self.connector.call(request.signed(identity).map_err(unsigned)?).await;
        let response = sent.map_err(|error| Refused::new(502, format!("Lambda cannot be reached: {error}")))?;
        let status = response.status();
        let header = |name: &str| response.headers().get(name).map(str::to_owned);
        let (code, failed) = (header("x-amzn-errortype"), header("x-amz-function-error"));
        let body = wire::body(response, LARGEST).await;
        let body = body.map_err(|_| Refused::new(502, "Lambda's answer breaks off: try again"))?;
        if status.is_success() && failed.is_none() {
            return Ok(body);
        }
        Err(self.failure(status, code.as_deref(), &body))
    }

    fn failure(&self, status: StatusCode, code: Option<&str>, body: &[u8]) -> Refused {
        let function = &self.function;
        if status.is_success() {
            return Refused::new(502, format!("{function} failed: its log says why"));
        }
        let refused = refusal::read(status.as_u16(), code, body);
        let (status, hint) = match refused.code.as_str() {
            "AccessDeniedException" => (403, "the stack's output ViewerInvokePolicy is a policy that allows it"),
            "ResourceNotFoundException" => (404, "the stack's output ViewerFunctionName is its name; mind the region"),
            "TooManyRequestsException" => (429, "it is busy: try again"),
            "ExpiredTokenException" => (401, "sign in to AWS again"),
            _ => (502, "Lambda did not run it"),
        };
        Refused::new(status, format!("{function}: {} {}: {hint}", refused.code, refused.message))
    }
}

fn not_a_viewer(function: &str) -> Error {
    let hint = "the stack's output ViewerFunctionName is its name, STACK-viewer";
    Error::Configuration(format!("{function} is not the name or ARN of a viewer's function: {hint}"))
}
