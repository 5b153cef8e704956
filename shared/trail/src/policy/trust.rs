//! Whom a role's trust policy lets in.

use super::glob::{is_fixed, literal_prefix};
use super::{Condition, Policy, Principal, Statement};

/// Who may come in, the least worrying first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// An AWS service.
    Service,
    /// Principals of accounts of ours.
    Ours,
    /// Some users of an identity provider.
    Federated,
    /// Members of an organization.
    Organization,
    /// Another account that has to name an external id.
    AccountWithExternalId,
    /// Another account.
    Account,
    /// Anyone who knows an external id or comes from a named network.
    Guarded,
    /// Whoever the identity provider knows: nothing says which subject.
    AnySubject,
    /// Anyone.
    Anyone,
}

/// One party that a trust policy lets in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Admission {
    /// Of which kind.
    pub who: Who,
    /// An ARN, account, organization, service or provider.
    pub name: String,
}

impl Admission {
    /// Who it is, in words: `users of okta`, `another account (999988887777)`.
    pub fn told(&self) -> String {
        let name = &self.name;
        let short = name.rsplit(['/', ':']).next().unwrap_or(name);
        match self.who {
            Who::Anyone if name == "*" => "anyone".to_owned(),
            Who::Anyone => format!("anyone ({name})"),
            Who::Guarded => "anyone who knows an external id or comes from a named network".to_owned(),
            Who::AnySubject => format!("every user of {short}"),
            Who::Account | Who::AccountWithExternalId => format!("another account ({name})"),
            Who::Organization => format!("the organization of {name}"),
            Who::Federated => format!("users of {short}"),
            Who::Service | Who::Ours => name.clone(),
        }
    }
}

impl Policy {
    /// Everybody whom this trust policy lets in; `ours` says whether an account is ours.
    pub fn admissions(&self, ours: &dyn Fn(&str) -> bool) -> Vec<Admission> {
        let opening = self.allows().filter(|statement| statement.lets_in());
        opening.flat_map(|statement| statement.admissions(ours)).collect()
    }
}

impl Statement {
    /// Whether the statement lets anybody in: tagging a session alone does not.
    fn lets_in(&self) -> bool {
        const DOORS: [&str; 3] = ["sts:AssumeRole", "sts:AssumeRoleWithSAML", "sts:AssumeRoleWithWebIdentity"];
        DOORS.iter().any(|door| self.covers_action(door))
    }

    fn admissions(&self, ours: &dyn Fn(&str) -> bool) -> Vec<Admission> {
        if self.not_principals.is_empty() {
            self.principals.iter().map(|principal| self.admission(principal, ours)).collect()
        } else {
            vec![admission(Who::Anyone, "everybody but some")]
        }
    }

    fn admission(&self, principal: &Principal, ours: &dyn Fn(&str) -> bool) -> Admission {
        match principal.kind.to_ascii_lowercase().as_str() {
            "service" if principal.value != "*" => admission(Who::Service, &principal.value),
            "federated" if principal.value != "*" => self.federated(&principal.value),
            _ => self.principal(&principal.value, ours),
        }
    }

    fn principal(&self, value: &str, ours: &dyn Fn(&str) -> bool) -> Admission {
        match account_of(value) {
            Some("*") => self.wildcard(ours),
            // What is left of a principal that was deleted: nobody can come in by it.
            None => admission(Who::Ours, value),
            Some(account) if ours(account) => admission(Who::Ours, value),
            Some(_) if self.organizations().next().is_some() => admission(Who::Organization, value),
            Some(_) if self.demands(&["sts:externalid"]) => admission(Who::AccountWithExternalId, value),
            Some(_) => admission(Who::Account, value),
        }
    }

    /// `Principal: *`, which the conditions may bring down to some.
    fn wildcard(&self, ours: &dyn Fn(&str) -> bool) -> Admission {
        const GUARDS: [&str; 4] = ["sts:externalid", "aws:sourceip", "aws:sourcevpc", "aws:sourcevpce"];
        let named: Vec<&str> =
            self.values_of("aws:principalarn").chain(self.values_of("aws:principalaccount")).collect();
        let accounts: Option<Vec<&str>> = named.iter().map(|name| account_of(name).filter(|a| *a != "*")).collect();
        match accounts {
            Some(accounts) if !accounts.is_empty() => match accounts.iter().find(|account| !ours(account)) {
                Some(other) => admission(Who::Account, other),
                None => admission(Who::Ours, &named.join(", ")),
            },
            _ => match self.organizations().next() {
                Some(organization) => admission(Who::Organization, organization),
                None if self.demands(&GUARDS) => admission(Who::Guarded, "*"),
                None => admission(Who::Anyone, "*"),
            },
        }
    }

    fn federated(&self, provider: &str) -> Admission {
        let subject_known = self.conditions.iter().any(|condition| names_subject(condition, provider));
        let who = match () {
            () if provider.contains(":saml-provider/") || subject_known => Who::Federated,
            () if provider.contains(":oidc-provider/") => Who::AnySubject,
            // Google, Facebook, Amazon, Cognito: everybody can have an account there.
            () if self.conditions.iter().any(names_application) => Who::Federated,
            () => Who::Anyone,
        };
        admission(who, provider)
    }

    fn organizations(&self) -> impl Iterator<Item = &str> {
        let by_path = self.values_of("aws:principalorgpaths").map(|path| path.split('/').next().unwrap_or(path));
        self.values_of("aws:principalorgid").chain(by_path).filter(|id| !id.contains(['*', '?']))
    }

    /// The values of a key that the caller has to have one of.
    fn values_of<'s>(&'s self, key: &'static str) -> impl Iterator<Item = &'s str> {
        let demanding = self.conditions.iter().filter(move |c| c.is_positive() && c.key.eq_ignore_ascii_case(key));
        demanding.flat_map(|condition| condition.values.iter().map(String::as_str))
    }

    /// Whether the caller has to come with a fixed value of one of these keys.
    fn demands(&self, keys: &[&str]) -> bool {
        let fixed =
            |condition: &Condition| condition.values.iter().all(|value| is_fixed(value) && !value.ends_with("/0"));
        let of_key = |condition: &&Condition| keys.iter().any(|key| condition.key.eq_ignore_ascii_case(key));
        self.conditions.iter().filter(of_key).any(|condition| condition.is_positive() && fixed(condition))
    }
}

fn admission(who: Who, name: &str) -> Admission {
    Admission { who, name: name.to_owned() }
}

/// The account that a principal belongs to; `*` for any. `None`: it names none.
fn account_of(principal: &str) -> Option<&str> {
    let named = match principal.strip_prefix("arn:") {
        Some(rest) => rest.split(':').nth(3)?,
        None => principal,
    };
    let is_account = named.len() == 12 && named.bytes().all(|byte| byte.is_ascii_digit());
    match named {
        _ if is_account => Some(named),
        wild if wild.contains(['*', '?']) => Some("*"),
        _ => None,
    }
}

/// Whether a condition says which subjects of a provider may come in. A subject at GitHub begins with its owner, so
/// `repo:*` and `repo:acme*` are everybody's.
fn names_subject(condition: &Condition, provider: &str) -> bool {
    const OWNERS: [&str; 5] = [":sub", ":repository", ":repository_id", ":repository_owner", ":repository_owner_id"];
    let key = condition.key.to_ascii_lowercase();
    let github = provider.contains("token.actions.githubusercontent.com");
    let names_it = if github { OWNERS.iter().any(|owner| key.ends_with(owner)) } else { key.ends_with(":sub") };
    let fixed = |value: &String| {
        let prefix = literal_prefix(value);
        is_fixed(prefix) && (!github || prefix.len() == value.len() || prefix.contains('/'))
    };
    names_it && condition.is_positive() && condition.values.iter().all(fixed)
}

/// Whether a condition says for which application a public provider's users may come in.
fn names_application(condition: &Condition) -> bool {
    let key = condition.key.to_ascii_lowercase();
    let names_it = [":aud", ":oaud", ":app_id"].iter().any(|end| key.ends_with(end));
    names_it && condition.is_positive() && condition.values.iter().all(|value| is_fixed(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    const GITHUB: &str = "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com";

    fn worst(principal: &Value, condition: &Value) -> Who {
        let action = ["sts:AssumeRole", "sts:AssumeRoleWithWebIdentity", "sts:AssumeRoleWithSAML", "sts:TagSession"];
        let statement = json!({"Effect": "Allow", "Principal": principal, "Action": action, "Condition": condition});
        worst_of(&json!([statement])).expect("somebody")
    }

    fn worst_of(statements: &Value) -> Option<Who> {
        let policy = Policy::read(&json!({"Statement": statements})).expect("a policy");
        policy.admissions(&|account| account == "111122223333").into_iter().max().map(|admission| admission.who)
    }

    #[test]
    fn anyone_in_every_spelling() {
        for principal in
            [json!("*"), json!({"AWS": "*"}), json!({"AWS": ["111122223333", "*"]}), json!({"Service": "*"})]
        {
            assert_eq!(worst(&principal, &Value::Null), Who::Anyone, "{principal}");
        }
        let trap = json!([{"Effect": "Allow", "NotPrincipal": {"AWS": "111122223333"}, "Action": "sts:AssumeRole"}]);
        assert_eq!(worst_of(&trap), Some(Who::Anyone));
        for hollow in [
            json!({"Bool": {"aws:SecureTransport": "true"}}),
            json!({"StringNotEquals": {"sts:ExternalId": "x"}}),
            json!({"StringEqualsIfExists": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}}),
            json!({"StringLike": {"sts:ExternalId": "*"}}),
            json!({"StringLike": {"aws:PrincipalOrgID": "o-*"}}),
            json!({"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}}),
            json!({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/*"}}),
        ] {
            assert_eq!(worst(&json!({"AWS": "*"}), &hollow), Who::Anyone, "{hollow}");
        }
    }

    #[test]
    fn conditions_bring_anyone_down_to_some() {
        let anyone = json!({"AWS": "*"});
        let organization = json!({"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}});
        assert_eq!(worst(&anyone, &organization), Who::Organization);
        let path = json!({"ForAnyValue:StringLike": {"aws:PrincipalOrgPaths": "o-a1b2c3d4e5/r-ab12/*"}});
        assert_eq!(worst(&anyone, &path), Who::Organization);
        assert_eq!(worst(&anyone, &json!({"StringEquals": {"sts:ExternalId": "s3cr3t"}})), Who::Guarded);
        let own = json!({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::111122223333:role/ops-*"}});
        assert_eq!(worst(&anyone, &own), Who::Ours);
        let other = json!({"StringEquals": {"aws:PrincipalAccount": ["111122223333", "999988887777"]}});
        assert_eq!(worst(&anyone, &other), Who::Account);
    }

    #[test]
    fn accounts_are_ours_or_somebody_elses() {
        for own in ["111122223333", "arn:aws:iam::111122223333:root", "arn:aws:sts::111122223333:assumed-role/r/s"] {
            assert_eq!(worst(&json!({"AWS": own}), &Value::Null), Who::Ours, "{own}");
        }
        for other in ["999988887777", "arn:aws:iam::999988887777:user/eve", "arn:aws-cn:iam::999988887777:root"] {
            assert_eq!(worst(&json!({"AWS": other}), &Value::Null), Who::Account, "{other}");
        }
        let external = json!({"StringEquals": {"sts:ExternalId": "s3cr3t"}});
        assert_eq!(worst(&json!({"AWS": "999988887777"}), &external), Who::AccountWithExternalId);
        assert_eq!(worst(&json!({"AWS": "AROAEXAMPLEDELETED"}), &Value::Null), Who::Ours);
    }

    #[test]
    fn a_provider_without_a_subject_lets_all_its_users_in() {
        let with = |condition: Value| worst(&json!({"Federated": GITHUB}), &condition);
        let key = "token.actions.githubusercontent.com:sub";
        assert_eq!(
            with(json!({"StringEquals": {"token.actions.githubusercontent.com:aud": "sts.amazonaws.com"}})),
            Who::AnySubject
        );
        for everybody in ["*", "repo:*", "repo:*/*", "repo:acme*"] {
            assert_eq!(with(json!({"StringLike": {key: everybody}})), Who::AnySubject, "{everybody}");
        }
        for some in ["repo:acme/*", "repo:acme/app:ref:refs/heads/main"] {
            assert_eq!(with(json!({"StringLike": {key: some}})), Who::Federated, "{some}");
        }
        assert_eq!(with(json!({"StringLike": {key: ["repo:acme/app:*", "repo:*"]}})), Who::AnySubject);
    }

    #[test]
    fn public_providers_want_an_application() {
        let cognito = json!({"Federated": "cognito-identity.amazonaws.com"});
        assert_eq!(worst(&cognito, &Value::Null), Who::Anyone);
        let pool = json!({"StringEquals": {"cognito-identity.amazonaws.com:aud": "eu-west-1:0000"}});
        assert_eq!(worst(&cognito, &pool), Who::Federated);
        let saml = json!({"Federated": "arn:aws:iam::111122223333:saml-provider/corp"});
        assert_eq!(worst(&saml, &Value::Null), Who::Federated);
    }

    #[test]
    fn services_and_statements_that_open_nothing() {
        assert_eq!(worst(&json!({"Service": "lambda.amazonaws.com"}), &Value::Null), Who::Service);
        let tagging = json!([{"Effect": "Allow", "Principal": "*", "Action": "sts:TagSession"}]);
        assert_eq!(worst_of(&tagging), None);
        let deny = json!([{"Effect": "Deny", "Principal": "*", "Action": "sts:AssumeRole"}]);
        assert_eq!(worst_of(&deny), None);
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(kind in "(AWS|Service|Federated|é)?", value in ".{0,40}", key in ".{0,12}", operator in ".{0,12}") {
            let statement = json!({
                "Effect": "Allow",
                "Principal": {kind: value.clone()},
                "Action": [value.clone(), "sts:AssumeRole"],
                "Resource": value.clone(),
                "Condition": {operator: {key: value}},
            });
            let policy = Policy::read(&json!({"Statement": statement})).expect("a policy");
            prop_assert_eq!(policy.admissions(&|_| false).len(), 1);
            prop_assert!(policy.gift().through.len() < 5);
        }
    }
}
