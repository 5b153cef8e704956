//! A question as the service wants it on the wire.

use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};
use url::form_urlencoded;

use super::api::{Place, Wire, place};
use super::client::Question;
use super::endpoint::Endpoints;
use crate::wire::Request;

/// What stays as it is in a path or query (RFC 3986, unreserved).
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Truth and times are no texts in JSON: a time is in seconds since 1970.
fn json_value(name: &str, text: &str) -> Value {
    match (text.parse::<bool>(), text.parse::<i64>()) {
        (Ok(truth), _) => truth.into(),
        (_, Ok(seconds)) if name.ends_with("Time") => seconds.into(),
        _ => text.into(),
    }
}

impl Request {
    /// The request for one page; `token` is what the page before said.
    pub(super) fn new(question: &Question, token: Option<&str>, endpoints: &Endpoints) -> Self {
        let service = question.api.service();
        let page = question.api.pages.zip(token).map(|(pages, token)| (pages.0, token));
        let own = question.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let parameters: Vec<_> = own.chain(page).collect();
        let mut request = Self {
            service: service.name,
            signing_region: endpoints.signing_region(service, &question.region).to_owned(),
            method: "POST",
            url: String::new(),
            headers: Vec::new(),
            body: Bytes::new(),
        };
        let target = match question.api.wire {
            Wire::Json(prefix) => request.json(prefix, question.api.operation(), &parameters),
            Wire::Query(version) => request.form(version, question.api.operation(), &parameters),
            Wire::Rest(method, path, query) => request.rest(method, (path, query), &parameters),
        };
        let own = endpoints.own(service);
        let host = own.is_none().then(|| endpoints.host(service, &question.region));
        request.url = match (own, host) {
            (Some(url), _) => format!("{url}{target}"),
            (None, host) => request.address(&host.unwrap_or_default(), &target, &parameters),
        };
        request
    }

    fn json(&mut self, prefix: &str, operation: &str, parameters: &[(&str, &str)]) -> String {
        let members: Map<String, Value> =
            parameters.iter().map(|(name, text)| ((*name).to_owned(), json_value(name, text))).collect();
        self.headers.push(("content-type", "application/x-amz-json-1.1".to_owned()));
        self.headers.push(("x-amz-target", format!("{prefix}.{operation}")));
        self.body = Value::Object(members).to_string().into();
        "/".to_owned()
    }

    fn form(&mut self, version: &str, operation: &str, parameters: &[(&str, &str)]) -> String {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("Action", operation).append_pair("Version", version).extend_pairs(parameters);
        self.headers.push(("content-type", "application/x-www-form-urlencoded".to_owned()));
        self.body = form.finish().into();
        "/".to_owned()
    }

    fn rest(&mut self, method: &'static str, (path, query): (&str, &str), parameters: &[(&str, &str)]) -> String {
        self.method = method;
        if method == "POST" {
            let members = parameters.iter().map(|(name, text)| ((*name).to_owned(), (*text).into()));
            self.headers.push(("content-type", "application/json".to_owned()));
            self.body = Value::Object(members.collect()).to_string().into();
            return path.to_owned();
        }
        let mut path = path.to_owned();
        let mut queries: Vec<String> = Vec::from_iter((!query.is_empty()).then(|| query.to_owned()));
        for (name, value) in parameters {
            let escaped = utf8_percent_encode(value, ESCAPED);
            match place(self.service, name) {
                Place::Path => path = path.replace(&format!("{{{name}}}"), &escaped.to_string()),
                Place::Query(name) => queries.push(format!("{name}={escaped}")),
                Place::Header(name) => self.headers.push((name, (*value).to_owned())),
            }
        }
        if queries.is_empty() { path } else { format!("{path}?{}", queries.join("&")) }
    }

    /// The address at AWS itself: S3 wants bucket and account in the name of the host.
    fn address(&self, host: &str, target: &str, parameters: &[(&str, &str)]) -> String {
        let parameter = |wanted| parameters.iter().find(|(name, _)| *name == wanted).map(|(_, value)| *value);
        match (self.service, parameter("Bucket"), parameter("AccountId")) {
            ("s3control", _, Some(account)) => format!("https://{account}.{host}{target}"),
            // The certificate of S3 has one level for buckets: a name with dots stays in the path.
            ("s3", Some(bucket), _) if !bucket.contains('.') => {
                let target = target.strip_prefix(&format!("/{bucket}")).unwrap_or(target);
                let slash = if target.starts_with('/') { "" } else { "/" };
                format!("https://{bucket}.{host}{slash}{target}")
            }
            _ => format!("https://{host}{target}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use aws_config::SdkConfig;
    use aws_types::region::Region;

    use super::super::api::{self, Api};
    use super::*;

    fn request(region: &str, api: &'static Api, parameters: &[(&str, &str)]) -> Request {
        let config = SdkConfig::builder().region(Region::new(region.to_owned())).build();
        let parameters: BTreeMap<_, _> =
            parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let question = Question { api, region: region.to_owned(), parameters };
        Request::new(&question, None, &Endpoints::new(&config))
    }

    #[test]
    fn each_partition_has_its_hosts() {
        let cases = [
            ("eu-west-1", &api::DESCRIBE_TRAILS, "https://cloudtrail.eu-west-1.amazonaws.com/", "eu-west-1"),
            ("eu-west-1", &api::ACCOUNT_AUTHORIZATION, "https://iam.amazonaws.com/", "us-east-1"),
            ("eu-west-1", &api::LIST_ACCOUNTS, "https://organizations.us-east-1.amazonaws.com/", "us-east-1"),
            ("eu-west-1", &api::LIST_REGIONS, "https://account.us-east-1.amazonaws.com/listRegions", "us-east-1"),
            ("eu-west-1", &api::ASSUME_ROLE, "https://sts.eu-west-1.amazonaws.com/", "eu-west-1"),
            ("us-gov-east-1", &api::DESCRIBE_KEY, "https://kms.us-gov-east-1.amazonaws.com/", "us-gov-east-1"),
            ("us-gov-east-1", &api::ACCOUNT_AUTHORIZATION, "https://iam.us-gov.amazonaws.com/", "us-gov-west-1"),
            (
                "cn-north-1",
                &api::LIST_ACCOUNTS,
                "https://organizations.cn-northwest-1.amazonaws.com.cn/",
                "cn-northwest-1",
            ),
            ("cn-north-1", &api::ACCOUNT_AUTHORIZATION, "https://iam.cn-north-1.amazonaws.com.cn/", "cn-north-1"),
        ];
        for (region, api, url, signed_for) in cases {
            let request = request(region, api, &[]);
            assert_eq!((request.url.as_str(), request.signing_region.as_str()), (url, signed_for));
        }
    }

    #[test]
    fn buckets_stand_in_the_host_where_its_certificate_allows() {
        let of = |bucket| {
            request("eu-west-1", &api::BUCKET_POLICY, &[("Bucket", bucket), ("ExpectedBucketOwner", "111122223333")])
        };
        assert_eq!(of("logs").url, "https://logs.s3.eu-west-1.amazonaws.com/?policy");
        assert_eq!(of("logs.example").url, "https://s3.eu-west-1.amazonaws.com/logs.example?policy");
        assert_eq!(of("logs").headers, [("x-amz-expected-bucket-owner", "111122223333".to_owned())]);
        let head = request("eu-west-1", &api::HEAD_BUCKET, &[("Bucket", "logs")]);
        assert_eq!((head.method, head.url.as_str()), ("HEAD", "https://logs.s3.eu-west-1.amazonaws.com/"));
        let versions = request("eu-west-1", &api::OBJECT_VERSIONS, &[("Bucket", "logs"), ("Prefix", "a b/")]);
        assert_eq!(versions.url, "https://logs.s3.eu-west-1.amazonaws.com/?versions&prefix=a%20b%2F");
    }

    #[test]
    fn an_account_stands_in_the_host_of_its_access_points() {
        let asked = [("AccountId", "111122223333"), ("Bucket", "logs")];
        let request = request("eu-west-1", &api::LIST_ACCESS_POINTS, &asked);
        let host = "https://111122223333.s3-control.eu-west-1.amazonaws.com";
        assert_eq!(request.url, format!("{host}/v20180820/accesspoint?bucket=logs"));
        assert_eq!(request.headers, [("x-amz-account-id", "111122223333".to_owned())]);
    }

    #[test]
    fn json_and_forms_hold_parameters_and_operation() {
        let trails = request("eu-west-1", &api::DESCRIBE_TRAILS, &[("includeShadowTrails", "true")]);
        assert_eq!(&trails.body[..], br#"{"includeShadowTrails":true}"#);
        assert!(trails.headers.iter().any(|(_, value)| value.ends_with("CloudTrail_20131101.DescribeTrails")));
        let role = request("eu-west-1", &api::ASSUME_ROLE, &[("RoleArn", "arn:x:y")]);
        assert_eq!(&role.body[..], b"Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Ax%3Ay");
    }
}
