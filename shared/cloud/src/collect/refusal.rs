//! What a refusal means.

use serde_json::Value;
use trail::snapshot::{Cause, Refusal};

use super::xml::Element;

/// A message is kept up to so many characters.
const LONGEST_MESSAGE: usize = 300;

/// The codes with which AWS says: slower (the SDKs' own list).
const THROTTLING: [&str; 14] = [
    "BandwidthLimitExceeded",
    "EC2ThrottledException",
    "LimitExceededException",
    "PriorRequestNotComplete",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
    "TransactionInProgressException",
];

/// A refusal that was made here.
pub(super) fn refusal(cause: Cause, code: &str, message: impl AsRef<str>) -> Refusal {
    let message = message.as_ref().chars().take(LONGEST_MESSAGE).collect();
    Refusal { cause, code: code.to_owned(), message }
}

/// What an error answer says. `named` is the code that its headers give, if they do.
pub(crate) fn read(status: u16, named: Option<&str>, body: &[u8]) -> Refusal {
    let (code, message) = from_json(body).or_else(|| from_xml(body)).unwrap_or_default();
    let code = named.filter(|code| !code.is_empty()).map_or(code, str::to_owned);
    let code = plain(&code);
    let code = if code.is_empty() { by_status(status) } else { code };
    refusal(cause(code, status), code, message)
}

fn from_json(body: &[u8]) -> Option<(String, String)> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let text = |names: [&str; 3]| names.iter().find_map(|name| body[*name].as_str()).unwrap_or_default().to_owned();
    Some((text(["__type", "code", "Code"]), text(["message", "Message", "errorMessage"])))
}

fn from_xml(body: &[u8]) -> Option<(String, String)> {
    let document = Element::parse(body).ok()?;
    let error = document.find("Error")?;
    let text = |name| error.text_of(name).unwrap_or_default().to_owned();
    Some((text("Code"), text("Message")))
}

/// `com.amazonaws.kms#NotFoundException:http://…` says `NotFoundException`.
fn plain(code: &str) -> &str {
    let code = code.split(':').next().unwrap_or_default();
    code.rsplit('#').next().unwrap_or_default()
}

/// A word for an answer without a body, as HEAD requests get it.
fn by_status(status: u16) -> &'static str {
    match status {
        301 | 307 => "PermanentRedirect",
        400 => "BadRequest",
        401 | 403 => "Forbidden",
        404 => "NotFound",
        429 => "TooManyRequestsException",
        500..=599 => "InternalError",
        _ => "UnknownError",
    }
}

/// Of what kind a code is.
fn cause(code: &str, status: u16) -> Cause {
    let is = |codes: &[&str]| codes.contains(&code);
    if THROTTLING.contains(&code) || status == 429 {
        return Cause::Throttled;
    }
    if code.contains("AccessDenied")
        || is(&["UnauthorizedOperation", "AuthorizationError", "AuthorizationErrorException", "Forbidden"])
        || is(&["AllAccessDisabled", "UnauthorizedAccess", "NotAuthorized"])
    {
        return Cause::Denied;
    }
    if is(&["ReportExpired", "ReportInProgress", "ReportNotPresent"]) {
        return Cause::Late;
    }
    if is(&["OptInRequired", "SubscriptionRequiredException", "RegionDisabledException", "NotSignedUp"]) {
        return Cause::Disabled;
    }
    if code.starts_with("NoSuch") || code.contains("NotFound") || code == "AWSOrganizationsNotInUseException" {
        return Cause::Absent;
    }
    // 501 is an answer: this server never will.
    if (status >= 500 && status != 501) || is(&["RequestTimeout", "RequestTimeoutException"]) {
        Cause::Unreachable
    } else {
        Cause::Unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_found_wherever_they_stand() {
        let bodies = [
            (400, None, r#"{"__type":"com.amazonaws.kms#NotFoundException","message":"m"}"#, "NotFoundException"),
            (400, Some("AccessDeniedException:http://x/"), r#"{"Message":"m"}"#, "AccessDeniedException"),
            (403, None, "<Error><Code>AccessDenied</Code><Message>m</Message></Error>", "AccessDenied"),
            (
                403,
                None,
                "<ErrorResponse><Error><Type>Sender</Type><Code>Throttling</Code><Message>m</Message></Error>\
                 <RequestId>r</RequestId></ErrorResponse>",
                "Throttling",
            ),
        ];
        for (status, named, body, code) in bodies {
            let found = read(status, named, body.as_bytes());
            assert_eq!((found.code.as_str(), found.message.as_str()), (code, "m"), "{body}");
        }
        for (status, code) in [(403, "Forbidden"), (404, "NotFound"), (503, "InternalError"), (418, "UnknownError")] {
            assert_eq!(read(status, None, b"").code, code);
        }
    }

    #[test]
    fn each_code_has_its_cause() {
        let cases = [
            ("AccessDenied", 403, Cause::Denied),
            ("AccessDeniedException", 400, Cause::Denied),
            ("KMS.AccessDeniedException", 400, Cause::Denied),
            ("UnauthorizedOperation", 403, Cause::Denied),
            ("ThrottlingException", 400, Cause::Throttled),
            ("SlowDown", 503, Cause::Throttled),
            ("NewKindOfSlowness", 429, Cause::Throttled),
            ("ReportInProgress", 404, Cause::Late),
            ("ReportNotPresent", 410, Cause::Late),
            ("ReportExpired", 410, Cause::Late),
            ("NoSuchBucketPolicy", 404, Cause::Absent),
            ("ObjectLockConfigurationNotFoundError", 404, Cause::Absent),
            ("TrailNotFoundException", 400, Cause::Absent),
            ("AWSOrganizationsNotInUseException", 400, Cause::Absent),
            ("OptInRequired", 403, Cause::Disabled),
            ("InternalFailure", 500, Cause::Unreachable),
            ("UnrecognizedClientException", 400, Cause::Unknown),
            ("NotImplemented", 501, Cause::Unknown),
            ("InventedYesterday", 400, Cause::Unknown),
        ];
        for (code, status, expected) in cases {
            assert_eq!(cause(code, status), expected, "{code}");
        }
    }

    #[test]
    fn a_long_message_is_cut() {
        let body = format!(r#"{{"__type":"X","message":"{}"}}"#, "ü".repeat(1000));
        assert_eq!(read(400, None, body.as_bytes()).message.chars().count(), LONGEST_MESSAGE);
    }
}
