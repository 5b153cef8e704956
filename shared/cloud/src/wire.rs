//! Requests to AWS as they go over the wire: put together, signed, and their answers read within bounds.

use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode,
    sign,
};
use aws_sigv4::sign::v4::SigningParams;
use aws_smithy_http_client::default_connector;
use aws_smithy_runtime_api::client::http::{HttpConnectorSettings, SharedHttpConnector};
use aws_smithy_runtime_api::client::identity::Identity;
use aws_smithy_runtime_api::http::{Request as HttpRequest, Response};
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};

use crate::error::Error;

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(3);

/// How these requests appear in the accounts' own trails.
const USER_AGENT: &str = concat!("quickinfra-trail/", env!("CARGO_PKG_VERSION"));

/// A request that lacks nothing but its signature.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) service: &'static str,
    pub(crate) signing_region: String,
    pub(crate) method: &'static str,
    pub(crate) url: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Bytes,
}

/// Why an answer could not be read to its end.
#[derive(Debug)]
pub(crate) enum Unread {
    /// It is larger than is read.
    TooLarge,
    /// It ends early.
    BreaksOff,
}

/// What sends requests, and waits so long for an answer.
pub(crate) fn connector(config: &SdkConfig, answer: Duration) -> Result<SharedHttpConnector, Error> {
    let settings = HttpConnectorSettings::builder().connect_timeout(CONNECT).read_timeout(answer).build();
    let connector = default_connector(&settings, config.sleep_impl());
    connector.ok_or_else(|| Error::Configuration("this build has no TLS to ask AWS with".to_owned()))
}

impl Request {
    /// The headers that sign the request, its date and session among them.
    pub(crate) fn signature(&self, identity: &Identity, time: SystemTime) -> Result<Vec<(String, String)>, String> {
        let mut settings = SigningSettings::default();
        let service = if self.service == "s3control" { "s3" } else { self.service };
        if service == "s3" {
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
            settings.percent_encoding_mode = PercentEncodingMode::Single;
            settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        }
        let params = SigningParams::builder()
            .identity(identity)
            .region(&self.signing_region)
            .name(service)
            .time(time)
            .settings(settings)
            .build()
            .map_err(|e| e.to_string())?
            .into();
        let headers = self.headers.iter().map(|(name, value)| (*name, value.as_str()));
        let signable = SignableRequest::new(self.method, &self.url, headers, SignableBody::Bytes(&self.body));
        let signable = signable.map_err(|e| e.to_string())?;
        let (instructions, _) = sign(signable, &params).map_err(|e| e.to_string())?.into_parts();
        Ok(instructions.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    /// The request with its signature, to be sent at once.
    pub(crate) fn signed(self, identity: &Identity) -> Result<HttpRequest, String> {
        let signature = self.signature(identity, SystemTime::now())?;
        self.with(signature)
    }

    /// The request with headers that sign it.
    pub(crate) fn with(self, signature: Vec<(String, String)>) -> Result<HttpRequest, String> {
        let mut http = HttpRequest::new(SdkBody::from(self.body));
        http.set_method(self.method).map_err(|e| e.to_string())?;
        http.set_uri(self.url).map_err(|e| e.to_string())?;
        http.headers_mut().insert("user-agent", USER_AGENT);
        let own = self.headers.into_iter().map(|(name, value)| (name.to_owned(), value));
        for (name, value) in own.chain(signature) {
            http.headers_mut().try_insert(name, value).map_err(|e| e.to_string())?;
        }
        Ok(http)
    }
}

/// An answer's body, up to so many bytes.
pub(crate) async fn body(response: Response, most: usize) -> Result<Bytes, Unread> {
    let body = Limited::new(response.into_body(), most).collect().await;
    let body = body.map_err(|error| match error.downcast_ref::<http_body_util::LengthLimitError>() {
        Some(_) => Unread::TooLarge,
        None => Unread::BreaksOff,
    })?;
    Ok(body.to_bytes())
}
