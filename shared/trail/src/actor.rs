//! Who is behind a record.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::record::Record;
use crate::shape::{at, field, text, truthy};

/// For the name that AWS hides because no such user exists: it may be a password, typed into the wrong field.
pub(crate) const UNKNOWN_USER: &str = "a user that does not exist";

/// The human, role or service behind a record, as far as the record itself tells.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Actor {
    /// `userIdentity.type`.
    pub kind: String,
    /// Who a person would say it was: the user's name, the human in the role session, `root@<account>`.
    pub name: String,
    /// The role that was assumed, where one was.
    pub role: String,
    /// `userIdentity.arn`.
    pub arn: String,
    /// The account of the identity; it differs from the record's account in calls across accounts.
    pub account: String,
    /// `userIdentity.principalId`.
    pub principal: String,
    /// The access key that signed the call.
    pub access_key: String,
    /// The service that made the call for the actor; `signin.amazonaws.com` is a person in the console.
    pub invoked_by: String,
    /// The type of whoever issued the session.
    pub issuer_kind: String,
    /// The ARN of whoever issued the session.
    pub issuer_arn: String,
    /// Whether the session used MFA, where the record says.
    pub mfa: Option<bool>,
    /// Whether the call came from a console session.
    pub console: bool,
    /// Whether CloudTrail marks the session as one of `AssumeRoot`.
    pub assumed_root: bool,
}

impl Actor {
    pub(crate) fn of(record: &Record<'_>) -> Self {
        let identity = record.user_identity();
        let context = field(identity, "sessionContext");
        let issuer = field(context, "sessionIssuer");
        let arn = text(field(identity, "arn"));
        let (role, session) = role_and_session(arn);
        let own = |key| text(field(identity, key)).to_owned();
        Self {
            kind: own("type"),
            name: name(record, session),
            role: role.to_owned(),
            arn: arn.to_owned(),
            account: own("accountId"),
            principal: own("principalId"),
            access_key: own("accessKeyId"),
            invoked_by: own("invokedBy"),
            issuer_kind: text(field(issuer, "type")).to_owned(),
            issuer_arn: text(field(issuer, "arn")).to_owned(),
            mfa: mfa(record, context),
            console: truthy(&record.body()["sessionCredentialFromConsole"]),
            assumed_root: truthy(field(context, "assumedRoot")),
        }
    }

    /// Whether this is the account's root user, or a session that root issued.
    pub fn is_root(&self) -> bool {
        self.kind == "Root" || self.issuer_kind == "Root" || self.arn.ends_with(":root")
    }

    /// Whether an AWS service acts here, on its own or for somebody. A person in the console is not a service.
    pub fn is_service(&self) -> bool {
        self.kind == "AWSService" || (!self.invoked_by.is_empty() && self.invoked_by != "signin.amazonaws.com")
    }

    /// What groups the acts of one actor: the role behind a session rather than the session, else the identity.
    pub fn key(&self) -> String {
        if let Some(role) = self.session_of() {
            return role.to_owned();
        }
        let known = [&self.arn, &self.principal, &self.name];
        let own = known.into_iter().find(|text| !text.is_empty());
        own.map_or_else(|| self.kind.clone(), Clone::clone)
    }

    /// The role whose session this is, where the session's name says nothing of who it is: whoever assumes a role
    /// chooses it freely. Identity Center alone gives its sessions the names of its users.
    fn session_of(&self) -> Option<&str> {
        let is_named = self.role.is_empty() || self.role.starts_with("AWSReservedSSO_");
        let of_arn = || self.arn.rsplit_once('/').map(|(role, _)| role);
        let issuer = Some(self.issuer_arn.as_str()).filter(|arn| !arn.is_empty());
        (!is_named).then(|| issuer.or_else(of_arn)).flatten()
    }

    /// `github-ci (role ci-deploy)`: name and role, once each. Identity Center's sessions name a person; their role
    /// says no more about who it is.
    pub fn display(&self) -> String {
        if self.role.is_empty() || self.role == self.name || self.role.starts_with("AWSReservedSSO_") {
            self.name.clone()
        } else {
            format!("{} (role {})", self.name, self.role)
        }
    }
}

/// `arn:aws:sts::A:assumed-role/R/S` in parts.
fn role_and_session(arn: &str) -> (&str, &str) {
    arn.split_once(":assumed-role/").map_or(("", ""), |(_, path)| path.split_once('/').unwrap_or((path, "")))
}

/// The name a person would use. User guide, "userIdentity element".
fn name(record: &Record<'_>, session: &str) -> String {
    let identity = record.user_identity();
    let own = |key| text(field(identity, key));
    let context = field(identity, "sessionContext");
    let source_identity = text(field(context, "sourceIdentity"));
    let candidates = match own("type") {
        // `userName` is the account's alias here.
        "Root" => return format!("root@{}", own("accountId")),
        "AssumedRole" => [source_identity, session, own("principalId"), own("arn")],
        "FederatedUser" => [source_identity, last_part(own("arn")), own("principalId"), own("arn")],
        "AWSService" => [own("invokedBy"), &record.source_ip, "", ""],
        "AWSAccount" => return format!("account {}", foreign_name(identity)),
        "SAMLUser" | "WebIdentityUser" => return at_provider(identity),
        _ => {
            let said = text(field(record.additional(), "UserName"));
            let on_behalf = text(at(identity, &["onBehalfOf", "userId"]));
            [own("userName"), said, on_behalf, own("principalId")]
        }
    };
    let found = candidates.into_iter().find(|text| !text.is_empty());
    let found = found.map(|name| if name == "HIDDEN_DUE_TO_SECURITY_REASONS" { UNKNOWN_USER } else { name });
    found.or(Some(own("invokedBy")).filter(|s| !s.is_empty())).unwrap_or("unknown").to_owned()
}

fn foreign_name(identity: &Value) -> String {
    let (account, principal) = (text(field(identity, "accountId")), text(field(identity, "principalId")));
    match (account, principal) {
        ("", "") => "anonymous".to_owned(),
        (account, "") => account.to_owned(),
        (account, principal) if account == principal => account.to_owned(),
        (account, principal) => format!("{account}/{principal}"),
    }
}

fn at_provider(identity: &Value) -> String {
    let provider = text(field(identity, "identityProvider"));
    let user = text(field(identity, "userName"));
    if provider.is_empty() { user.to_owned() } else { format!("{user}@{}", last_part(provider)) }
}

fn last_part(arn: &str) -> &str {
    arn.rsplit(['/', ':']).next().unwrap_or(arn)
}

/// MFA: the session says, or the sign-in does. Absent is unknown, not no; and where an identity provider asked for the
/// second factor, "no" says only that AWS did not.
fn mfa(record: &Record<'_>, context: &Value) -> Option<bool> {
    said_of_mfa(record, context).filter(|used| *used || !is_federated(record, context))
}

fn is_federated(record: &Record<'_>, context: &Value) -> bool {
    let (role, _) = role_and_session(text(field(record.user_identity(), "arn")));
    let federation = field(context, "webIdFederationData");
    role.starts_with("AWSReservedSSO_")
        || federation.as_object().is_some_and(|members| !members.is_empty())
        || !text(field(record.additional(), "SamlProviderArn")).is_empty()
}

fn said_of_mfa(record: &Record<'_>, context: &Value) -> Option<bool> {
    match text(at(context, &["attributes", "mfaAuthenticated"])) {
        "" => match text(field(record.additional(), "MFAUsed")) {
            "" => None,
            used => Some(used.eq_ignore_ascii_case("yes")),
        },
        word => Some(word.eq_ignore_ascii_case("true")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::record;
    use serde_json::json;

    fn actor_of(identity: &Value) -> Actor {
        let text = record("s3.amazonaws.com", "ListBuckets", json!({"userIdentity": identity})).to_string();
        let record = Record::parse(&text).expect("a record");
        record.load().expect("JSON");
        Actor::of(&record)
    }

    fn session(role: &str, context: &Value) -> Value {
        json!({"type": "AssumedRole", "arn": format!("arn:aws:sts::111122223333:assumed-role/{role}/alice"),
            "sessionContext": context})
    }

    #[test]
    fn only_who_asks_for_the_second_factor_can_say_that_there_was_none() {
        let said = |word: &str| json!({"attributes": {"mfaAuthenticated": word}});
        let mfa = |identity: &Value| actor_of(identity).mfa;
        assert_eq!(mfa(&session("ops", &said("false"))), Some(false));
        assert_eq!(mfa(&session("ops", &said("true"))), Some(true));
        assert_eq!(mfa(&session("AWSReservedSSO_Ops_0123456789abcdef", &said("false"))), None);
        assert_eq!(mfa(&session("AWSReservedSSO_Ops_0123456789abcdef", &said("true"))), Some(true));
        let mut federated = said("false");
        federated["webIdFederationData"] = json!({"federatedProvider": "token.actions.githubusercontent.com"});
        assert_eq!(mfa(&session("ci", &federated)), None);
    }

    #[test]
    fn sessions_of_a_role_are_one_actor_unless_their_names_are_people() {
        let named = |role: &str, name: &str| {
            let issuer = json!({"type": "Role", "arn": format!("arn:aws:iam::111122223333:role/{role}")});
            let mut identity = session(role, &json!({"sessionIssuer": issuer}));
            identity["arn"] = json!(format!("arn:aws:sts::111122223333:assumed-role/{role}/{name}"));
            actor_of(&identity).key()
        };
        assert_eq!(named("ci", "run-1"), named("ci", "run-2"));
        assert_ne!(named("ci", "run-1"), named("deploy", "run-1"));
        assert_ne!(
            named("AWSReservedSSO_Ops_0123456789abcdef", "alice"),
            named("AWSReservedSSO_Ops_0123456789abcdef", "bob")
        );
    }

    #[test]
    fn a_hidden_name_is_told_as_what_it_means() {
        let hidden = json!({"type": "IAMUser", "userName": "HIDDEN_DUE_TO_SECURITY_REASONS"});
        assert_eq!(actor_of(&hidden).name, UNKNOWN_USER);
        assert_eq!(actor_of(&json!({"type": "IAMUser", "userName": "bob"})).name, "bob");
    }
}
