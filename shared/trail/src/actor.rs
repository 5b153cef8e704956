//! Who is behind a record.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

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

/// What a record says of who is behind it, borrowed from wherever it was read. What it does not say is empty.
///
/// The rules of who that is stand here, once: for actors, which own their texts, and for facts, which borrow them.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Said<'s> {
    pub(crate) kind: &'s str,
    pub(crate) arn: &'s str,
    pub(crate) account: &'s str,
    pub(crate) principal: &'s str,
    pub(crate) access_key: &'s str,
    pub(crate) user_name: &'s str,
    pub(crate) invoked_by: &'s str,
    /// `identityProvider`.
    pub(crate) provider: &'s str,
    /// `onBehalfOf.userId`.
    pub(crate) on_behalf_of: &'s str,
    pub(crate) source_identity: &'s str,
    pub(crate) issuer_kind: &'s str,
    pub(crate) issuer_arn: &'s str,
    /// `mfaAuthenticated` of the session.
    pub(crate) mfa_of_session: &'s str,
    /// Whether the session has `webIdFederationData`.
    pub(crate) has_web_identity: bool,
    pub(crate) assumed_root: bool,
    pub(crate) console: bool,
    /// `UserName`, `MFAUsed` and `SamlProviderArn` of `additionalEventData`.
    pub(crate) signed_in: &'s str,
    pub(crate) mfa_of_sign_in: &'s str,
    pub(crate) saml_provider: &'s str,
    pub(crate) source_ip: &'s str,
}

impl<'s> Said<'s> {
    /// What the record's body says, once it is loaded.
    pub(crate) fn of(record: &'s Record<'_>) -> Self {
        let identity = record.user_identity();
        let context = field(identity, "sessionContext");
        let issuer = field(context, "sessionIssuer");
        let own = |key| text(field(identity, key));
        let additional = |key| text(field(record.additional(), key));
        let web_identity = field(context, "webIdFederationData").as_object();
        Self {
            kind: own("type"),
            arn: own("arn"),
            account: own("accountId"),
            principal: own("principalId"),
            access_key: own("accessKeyId"),
            user_name: own("userName"),
            invoked_by: own("invokedBy"),
            provider: own("identityProvider"),
            on_behalf_of: text(at(identity, &["onBehalfOf", "userId"])),
            source_identity: text(field(context, "sourceIdentity")),
            issuer_kind: text(field(issuer, "type")),
            issuer_arn: text(field(issuer, "arn")),
            mfa_of_session: text(at(context, &["attributes", "mfaAuthenticated"])),
            has_web_identity: web_identity.is_some_and(|members| !members.is_empty()),
            assumed_root: truthy(field(context, "assumedRoot")),
            console: truthy(&record.body()["sessionCredentialFromConsole"]),
            signed_in: additional("UserName"),
            mfa_of_sign_in: additional("MFAUsed"),
            saml_provider: additional("SamlProviderArn"),
            source_ip: &record.source_ip,
        }
    }

    /// See [`Actor::is_root`].
    pub(crate) fn is_root(&self) -> bool {
        is_root(self.kind, self.issuer_kind, self.arn)
    }

    /// See [`Actor::is_service`].
    pub(crate) fn is_service(&self) -> bool {
        is_service(self.kind, self.invoked_by)
    }

    /// The name a person would use. User guide, "userIdentity element".
    pub(crate) fn name(&self) -> Cow<'s, str> {
        let Self { source_identity, principal, arn, .. } = *self;
        let candidates = match self.kind {
            // `userName` is the account's alias here.
            "Root" => return format!("root@{}", self.account).into(),
            "AssumedRole" => [source_identity, role_and_session(arn).1, principal, arn],
            "FederatedUser" => [source_identity, last_part(arn), principal, arn],
            "AWSService" => [self.invoked_by, self.source_ip, "", ""],
            "AWSAccount" => return format!("account {}", self.foreign_name()).into(),
            "SAMLUser" | "WebIdentityUser" => return self.at_provider(),
            _ => [self.user_name, self.signed_in, self.on_behalf_of, principal],
        };
        let found = candidates.into_iter().find(|text| !text.is_empty());
        let found = found.map(|name| if name == "HIDDEN_DUE_TO_SECURITY_REASONS" { UNKNOWN_USER } else { name });
        found.or(Some(self.invoked_by).filter(|s| !s.is_empty())).unwrap_or("unknown").into()
    }

    fn foreign_name(&self) -> Cow<'s, str> {
        match (self.account, self.principal) {
            ("", "") => "anonymous".into(),
            (account, "") => account.into(),
            (account, principal) if account == principal => account.into(),
            (account, principal) => format!("{account}/{principal}").into(),
        }
    }

    fn at_provider(&self) -> Cow<'s, str> {
        match self.provider {
            "" => self.user_name.into(),
            provider => format!("{}@{}", self.user_name, last_part(provider)).into(),
        }
    }

    /// MFA: the session says, or the sign-in does. Absent is unknown, not no; and where an identity provider asked for
    /// the second factor, "no" says only that AWS did not.
    pub(crate) fn mfa(&self) -> Option<bool> {
        self.said_of_mfa().filter(|used| *used || !self.is_federated())
    }

    fn is_federated(&self) -> bool {
        let (role, _) = role_and_session(self.arn);
        role.starts_with("AWSReservedSSO_") || self.has_web_identity || !self.saml_provider.is_empty()
    }

    fn said_of_mfa(&self) -> Option<bool> {
        match (self.mfa_of_session, self.mfa_of_sign_in) {
            ("", "") => None,
            ("", used) => Some(used.eq_ignore_ascii_case("yes")),
            (word, _) => Some(word.eq_ignore_ascii_case("true")),
        }
    }
}

impl Actor {
    pub(crate) fn of(record: &Record<'_>) -> Self {
        let said = Said::of(record);
        let (role, _) = role_and_session(said.arn);
        Self {
            kind: said.kind.to_owned(),
            name: said.name().into_owned(),
            role: role.to_owned(),
            arn: said.arn.to_owned(),
            account: said.account.to_owned(),
            principal: said.principal.to_owned(),
            access_key: said.access_key.to_owned(),
            invoked_by: said.invoked_by.to_owned(),
            issuer_kind: said.issuer_kind.to_owned(),
            issuer_arn: said.issuer_arn.to_owned(),
            mfa: said.mfa(),
            console: said.console,
            assumed_root: said.assumed_root,
        }
    }

    /// Whether this is the account's root user, or a session that root issued.
    pub fn is_root(&self) -> bool {
        is_root(&self.kind, &self.issuer_kind, &self.arn)
    }

    /// Whether an AWS service acts here, on its own or for somebody. A person in the console is not a service.
    pub fn is_service(&self) -> bool {
        is_service(&self.kind, &self.invoked_by)
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

fn is_root(kind: &str, issuer_kind: &str, arn: &str) -> bool {
    kind == "Root" || issuer_kind == "Root" || arn.ends_with(":root")
}

fn is_service(kind: &str, invoked_by: &str) -> bool {
    kind == "AWSService" || (!invoked_by.is_empty() && invoked_by != "signin.amazonaws.com")
}

/// `arn:aws:sts::A:assumed-role/R/S` in parts.
fn role_and_session(arn: &str) -> (&str, &str) {
    arn.split_once(":assumed-role/").map_or(("", ""), |(_, path)| path.split_once('/').unwrap_or((path, "")))
}

fn last_part(arn: &str) -> &str {
    arn.rsplit(['/', ':']).next().unwrap_or(arn)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::record;
    use serde_json::{Value, json};

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
