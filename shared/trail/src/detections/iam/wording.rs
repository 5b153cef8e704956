//! How a change is told: `attached AdministratorAccess to user mallory`.

use serde_json::Value;

use crate::detection::{Case, Deed};
use crate::shape::{field, text};

/// A user, role or group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::detections) struct Subject {
    /// `user`, `role` or `group`.
    pub(in crate::detections) kind: &'static str,
    /// Its name; empty where the record does not say.
    pub(in crate::detections) name: String,
}

impl Subject {
    /// Whom a call is about: by its parameters, else by the message with which AWS refused it.
    pub(in crate::detections) fn of(case: &Case<'_>) -> Option<Self> {
        const PARAMETERS: [(&str, &str); 3] = [("userName", "user"), ("roleName", "role"), ("groupName", "group")];
        let named = PARAMETERS.into_iter().find_map(|(parameter, kind)| {
            let name = case.record.parameter(parameter);
            (!name.is_empty()).then(|| Self { kind, name: name.to_owned() })
        });
        named.or_else(|| Self::in_error(case.record.error_message()))
    }

    /// IAM writes `on resource: user mallory` or `on resource: arn:aws:iam::111122223333:user/mallory`.
    fn in_error(message: &str) -> Option<Self> {
        let (_, rest) = message.split_once("on resource: ")?;
        let mut words = rest.split_whitespace();
        let (kind, name) = match words.next()? {
            arn if arn.starts_with("arn:") => arn.rsplit(':').next()?.split_once('/')?,
            kind => (kind, words.next()?),
        };
        let kind = ["user", "role", "group"].into_iter().find(|known| *known == kind)?;
        Some(Self { kind, name: last_part(name).to_owned() })
    }

    /// `user mallory`.
    pub(in crate::detections) fn told(&self) -> String {
        if self.name.is_empty() { format!("a {}", self.kind) } else { format!("{} {}", self.kind, self.name) }
    }
}

/// The deed of a call for which there are no better words: its name, taken apart, and what it names.
pub(in crate::detections) fn plain(case: &Case<'_>) -> Deed {
    let (verb, thing) = taken_apart(case.record.action());
    let what = object(case).map(|name| format!("{thing} {name}"));
    deed(&verb, what.unwrap_or(thing).trim())
}

/// A deed from its bare verb.
pub(in crate::detections) fn deed(verb: &str, object: impl Into<String>) -> Deed {
    Deed::new(verb, &past(verb), object)
}

/// What a call is about, as ARNs where the record says enough. Paths of users and roles are in no request.
pub(in crate::detections) fn resources(case: &Case<'_>) -> Vec<String> {
    const IDENTIFIED: [&str; 12] = [
        "policyArn",
        "managedPolicyArn",
        "permissionSetArn",
        "sAMLProviderArn",
        "openIDConnectProviderArn",
        "applicationArn",
        "serialNumber",
        "accessKeyId",
        "accountId",
        "targetId",
        "policyId",
        "principalId",
    ];
    let request = case.record.request();
    let texts = |key: &&str| text(field(request, key)).to_owned();
    let created = text(field(field(case.record.response(), "accessKey"), "accessKeyId")).to_owned();
    let all = identities(case).into_iter().chain(IDENTIFIED.iter().map(texts)).chain([created]);
    all.filter(|resource| !resource.is_empty()).collect()
}

/// The users, roles and groups of IAM that a call names.
fn identities(case: &Case<'_>) -> Vec<String> {
    if case.record.source != super::IAM {
        return Vec::new();
    }
    let partition = case.actor.arn.split(':').nth(1).filter(|partition| !partition.is_empty()).unwrap_or("aws");
    let arn = |kind: &str, name: &str| format!("arn:{partition}:iam::{}:{kind}/{name}", case.account);
    let parameters = [("user", "userName"), ("role", "roleName"), ("group", "groupName")];
    let named = parameters.map(|(kind, parameter)| (kind, case.record.parameter(parameter)));
    let named: Vec<_> = named.iter().filter(|(_, name)| !name.is_empty()).map(|(kind, name)| arn(kind, name)).collect();
    match Subject::of(case) {
        Some(subject) if named.is_empty() => vec![arn(subject.kind, &subject.name)],
        _ => named,
    }
}

/// The name after the last slash or colon of an ARN or path.
pub(in crate::detections) fn last_part(name: &str) -> &str {
    name.rsplit(['/', ':']).find(|part| !part.is_empty()).unwrap_or(name)
}

/// The first thing that a call names.
fn object(case: &Case<'_>) -> Option<String> {
    const NAMING: [&str; 30] = [
        "userName",
        "roleName",
        "groupName",
        "policyName",
        "policyArn",
        "instanceProfileName",
        "serverCertificateName",
        "virtualMFADeviceName",
        "serialNumber",
        "sAMLProviderArn",
        "openIDConnectProviderArn",
        "aWSServiceName",
        "accountAlias",
        "templateArn",
        "delegationRequestId",
        "permissionSetArn",
        "applicationArn",
        "trustedTokenIssuerArn",
        "servicePrincipal",
        "accountId",
        "policyId",
        "policyType",
        "trustAnchorId",
        "profileId",
        "analyzerName",
        "alternateContactType",
        "regionName",
        "name",
        "url",
        "groupId",
    ];
    let request = case.record.request();
    let named = NAMING.iter().map(|key| text(field(request, key))).find(|name| !name.is_empty());
    let named = named.map(|name| if name.starts_with("arn:") { last_part(name) } else { name });
    named.map(str::to_owned).or_else(|| Some(Subject::of(case)?.name))
}

/// `CreateSAMLProvider` as `create` and `SAML provider`.
fn taken_apart(action: &str) -> (String, String) {
    let words = words(action);
    let (verb, thing) = words.split_first().map_or(("", &[][..]), |(verb, thing)| (verb.as_str(), thing));
    (verb.to_ascii_lowercase(), thing.join(" ").replace("open ID connect", "OIDC").replace("id p ", "IdP "))
}

/// The words of a name in camel case; acronyms stay as they are.
fn words(name: &str) -> Vec<String> {
    let letters: Vec<char> = name.chars().collect();
    let begins = |at: usize| {
        let upper = |i: usize| letters.get(i).is_some_and(|c| c.is_uppercase());
        let lower = |i: usize| letters.get(i).is_some_and(|c| c.is_lowercase());
        upper(at) && (at == 0 || !upper(at - 1) || lower(at + 1))
    };
    let mut words: Vec<String> = Vec::new();
    for (at, letter) in letters.iter().enumerate() {
        match words.last_mut() {
            Some(word) if !begins(at) => word.push(*letter),
            _ => words.push(letter.to_string()),
        }
    }
    words.into_iter().map(uncapitalized).collect()
}

fn uncapitalized(word: String) -> String {
    let acronym = word.chars().count() > 1 && word.chars().skip(1).any(char::is_uppercase);
    if acronym { word } else { word.to_lowercase() }
}

/// The past form of a verb, possibly followed by more words.
fn past(verb: &str) -> String {
    let (verb, rest) = verb.split_once(' ').map_or((verb, String::new()), |(verb, rest)| (verb, format!(" {rest}")));
    let past = match verb {
        "put" | "set" | "reset" | "let" | "shut" => verb.to_owned(),
        "write" => "wrote".to_owned(),
        "rewrite" => "rewrote".to_owned(),
        "leave" => "left".to_owned(),
        "send" => "sent".to_owned(),
        "make" => "made".to_owned(),
        "take" => "took".to_owned(),
        "give" => "gave".to_owned(),
        "get" => "got".to_owned(),
        "tag" | "untag" => format!("{verb}ged"),
        verb if verb.ends_with('e') => format!("{verb}d"),
        verb => match verb.strip_suffix('y') {
            Some(stem) if !stem.ends_with(['a', 'e', 'o', 'u']) => format!("{stem}ied"),
            _ => format!("{verb}ed"),
        },
    };
    past + &rest
}

/// Whether the request says what it was to do; `CloudTrail` leaves out what is too large, whole or in part.
pub(in crate::detections) fn content_left_out(case: &Case<'_>) -> bool {
    let request = case.record.request();
    let in_part = |part: &Value| crate::shape::truthy(&part["omitted"]);
    case.record.request_omitted() || request.as_object().is_some_and(|members| members.values().any(in_part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_calls_come_apart_into_words() {
        for (action, verb, thing) in [
            ("CreateSAMLProvider", "create", "SAML provider"),
            ("DeleteSSHPublicKey", "delete", "SSH public key"),
            ("UpdateOpenIDConnectProviderThumbprint", "update", "OIDC provider thumbprint"),
            ("TagMFADevice", "tag", "MFA device"),
            ("ResyncMFADevice", "resync", "MFA device"),
            ("EnableAWSServiceAccess", "enable", "AWS service access"),
            ("", "", ""),
            ("ÄnderE", "änder", "e"),
        ] {
            assert_eq!(taken_apart(action), (verb.to_owned(), thing.to_owned()), "{action}");
        }
    }

    #[test]
    fn verbs_have_a_past() {
        for (verb, told) in [
            ("create", "created"),
            ("attach", "attached"),
            ("put", "put"),
            ("untag", "untagged"),
            ("leave", "left"),
            ("modify", "modified"),
            ("deploy", "deployed"),
            ("let in", "let in"),
            ("", "ed"),
        ] {
            assert_eq!(past(verb), told);
        }
    }

    #[test]
    fn a_refusal_names_its_subject() {
        let of = |resource: &str| Subject::in_error(&format!("User: x is not authorized on resource: {resource}"));
        let mallory = Some(Subject { kind: "user", name: "mallory".to_owned() });
        assert_eq!(of("user mallory because no identity-based policy allows it"), mallory);
        assert_eq!(of("arn:aws:iam::111122223333:user/team/mallory with an explicit deny"), mallory);
        assert_eq!(of("arn:aws:iam::111122223333:root"), None);
        assert_eq!(of(""), None);
    }
}
