//! Whom a resource policy lets in: S3's own "meaning of public", and which accounts beyond ours.
//!
//! As S3 does (user guide, "The meaning of public"), a policy is taken to be public until every statement that allows
//! something turns out to be confined to fixed values. Statements that deny are not weighed against it: what one
//! statement opens, another may close for today, and the next edit opens it again.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};
use serde_json::{Map, Value};

use super::{Condition, Policy, Principal, Statement, from_text};
use crate::settings::Settings;

/// By which service's rules a policy is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rules {
    /// An S3 bucket: nothing but fixed values confines.
    Bucket,
    /// An S3 access point: as a bucket, and an access point's ARN has to be fixed to its name.
    AccessPoint,
    /// An access point that answers one VPC alone: never public.
    VpcAccessPoint,
    /// An EFS file system: mounting it through its VPC confines too.
    FileSystem,
    /// Everything else: an ARN confines as soon as its account is fixed.
    General,
}

/// Where a resource is at home: what is inside and what is outside.
#[derive(Debug, Clone, Copy)]
pub struct Home<'a> {
    /// Which accounts are ours.
    pub settings: &'a Settings,
    /// The account that the resource belongs to.
    pub account: &'a str,
}

/// Whom a policy, or a list of accounts, lets in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Audience {
    /// Everyone, where that is so.
    pub everyone: Option<Everyone>,
    /// Accounts and organizations that are not known to be ours: `account 999988887777`, `organization o-…`.
    pub outsiders: BTreeSet<String>,
    /// Accounts of ours other than the resource's own.
    pub insiders: BTreeSet<String>,
    /// Canonical users, of which nobody can tell the account by looking.
    pub canonical_users: BTreeSet<String>,
}

/// Everyone is let in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Everyone {
    /// What lets them in: `Principal *`.
    pub reasons: BTreeSet<String>,
    /// What they may do.
    pub actions: BTreeSet<String>,
}

impl Policy {
    /// Reads a policy for its audience: as [`Policy::read`], more tolerant of spelling and of an empty document.
    pub fn read_tolerantly(document: &Value) -> Option<Self> {
        let mut document = document.clone();
        // A document may be JSON text inside JSON text.
        for _ in 0..3 {
            let Value::String(text) = &document else { break };
            document = from_text(text)?;
        }
        let Value::Object(members) = &document else { return None };
        if members.is_empty() {
            return Some(Self::default());
        }
        Self::read(&respelled(members))
    }

    /// Whom this policy lets in.
    pub fn audience(&self, rules: Rules, home: &Home<'_>) -> Audience {
        let mut audience = Audience::default();
        for statement in self.allows() {
            audience.add(&statement_audience(statement, rules, home));
        }
        audience
    }
}

impl Home<'_> {
    /// Whether an account is ours, or AWS's own where services write logs from.
    pub fn holds(&self, account: &str) -> bool {
        account == self.account || self.settings.is_ours(account) || LOAD_BALANCING.contains(&account)
    }

    /// Whether an organization is ours. As long as the settings name none, any may be.
    fn holds_organization(&self, organization: &str) -> bool {
        let own = &self.settings.own.organization;
        own.is_empty() || own == organization
    }
}

impl Audience {
    /// The audience of an account id, an ARN of a principal or organization, `all` or `*`.
    pub fn of(grantee: &str, home: &Home<'_>) -> Self {
        let mut audience = Self::default();
        match grantee.trim() {
            "" => {}
            "*" | "all" | "All" | "ALL" | "public" => audience.open_to_everyone("shared with all", &[]),
            grantee => match organization(grantee) {
                Some(organization) => audience.let_in_organization(organization, home),
                None => account(grantee).into_iter().for_each(|account| audience.let_in(account, home)),
            },
        }
        audience
    }

    /// Adds whom another audience holds.
    pub fn add(&mut self, other: &Self) {
        self.outsiders.extend(other.outsiders.iter().cloned());
        self.insiders.extend(other.insiders.iter().cloned());
        self.canonical_users.extend(other.canonical_users.iter().cloned());
        if let Some(everyone) = &other.everyone {
            let known = self.everyone.get_or_insert_default();
            known.reasons.extend(everyone.reasons.iter().cloned());
            known.actions.extend(everyone.actions.iter().cloned());
        }
    }

    /// Opens it to everyone.
    pub fn open_to_everyone(&mut self, reason: &str, actions: &[String]) {
        let everyone = self.everyone.get_or_insert_default();
        everyone.reasons.insert(reason.to_owned());
        everyone.actions.extend(actions.iter().cloned());
    }

    /// Opens it to a canonical user.
    pub fn let_in_canonical_user(&mut self, id: &str) {
        if id != LOG_DELIVERY {
            self.canonical_users.insert(id.to_owned());
        }
    }

    fn let_in(&mut self, account: &str, home: &Home<'_>) {
        if !home.holds(account) {
            self.outsiders.insert(format!("account {account}"));
        } else if account != home.account {
            self.insiders.insert(account.to_owned());
        }
    }

    fn let_in_organization(&mut self, organization: &str, home: &Home<'_>) {
        if home.holds_organization(organization) {
            self.insiders.insert(organization.to_owned());
        } else {
            self.outsiders.insert(format!("organization {organization}"));
        }
    }
}

/// The accounts from which Elastic Load Balancing writes access logs in its older regions (its user guide).
const LOAD_BALANCING: [&str; 26] = [
    "127311923021",
    "033677994240",
    "027434742980",
    "797873946194",
    "098369216593",
    "754344448648",
    "589379963580",
    "718504428378",
    "383597477331",
    "600734575887",
    "114774131450",
    "783225319266",
    "582318560864",
    "985666609251",
    "054676820928",
    "156460612806",
    "652711504416",
    "635631232127",
    "009996457667",
    "897822967062",
    "076674570225",
    "507241528517",
    "190560391635",
    "048591011584",
    "638102146993",
    "037604701340",
];

/// The canonical user as which `CloudFront` delivers its logs (its developer guide).
const LOG_DELIVERY: &str = "c4c1ede66af53448b93c283ce9448c4ba468c9432aa01d700d3878632f77d2d0";

/// Whom the principals of one statement name, before its conditions narrow that.
#[derive(Debug, Default)]
struct Named<'s> {
    everyone: Option<&'static str>,
    service: bool,
    accounts: BTreeSet<&'s str>,
    canonical_users: BTreeSet<&'s str>,
}

/// What one condition confines a statement to.
#[derive(Debug, PartialEq, Eq)]
enum Fence<'s> {
    Accounts(BTreeSet<&'s str>),
    Organizations(BTreeSet<&'s str>),
    /// A network, an endpoint, a key, one resource: fixed, and nobody can tell whose.
    Place,
}

fn statement_audience(statement: &Statement, rules: Rules, home: &Home<'_>) -> Audience {
    let mut audience = Audience::default();
    let named = named(statement, rules);
    let fences: Vec<_> = statement.conditions.iter().filter_map(|condition| fence(condition, rules)).collect();
    if let (Some(reason), true) = (named.everyone, fences.is_empty()) {
        if rules != Rules::VpcAccessPoint {
            audience.open_to_everyone(reason, &allowed_actions(statement));
        }
        return audience;
    }
    if fences.iter().any(|fence| is_ours(fence, home)) {
        return audience;
    }
    let confined = confined_accounts(&fences);
    for account in let_in(&named, confined.as_ref()) {
        audience.let_in(account, home);
    }
    if (named.everyone.is_some() || named.service) && confined.is_none() {
        organizations(&fences).for_each(|organization| audience.let_in_organization(organization, home));
    }
    named.canonical_users.iter().for_each(|id| audience.let_in_canonical_user(id));
    audience
}

fn allowed_actions(statement: &Statement) -> Vec<String> {
    let except = statement.not_actions.iter().map(|action| format!("all but {action}"));
    statement.actions.iter().cloned().chain(except).collect()
}

/// Whether a condition keeps everything within our organization.
fn is_ours(fence: &Fence<'_>, home: &Home<'_>) -> bool {
    match fence {
        Fence::Organizations(organizations) => organizations.iter().all(|id| home.holds_organization(id)),
        Fence::Accounts(_) | Fence::Place => false,
    }
}

fn organizations<'s>(fences: &'s [Fence<'s>]) -> impl Iterator<Item = &'s str> {
    fences.iter().flat_map(|fence| match fence {
        Fence::Organizations(organizations) => organizations.iter().copied().collect(),
        Fence::Accounts(_) | Fence::Place => Vec::new(),
    })
}

/// The accounts that all account conditions agree on; `None` where there is no such condition.
fn confined_accounts<'s>(fences: &[Fence<'s>]) -> Option<BTreeSet<&'s str>> {
    let sets = fences.iter().filter_map(|fence| match fence {
        Fence::Accounts(accounts) => Some(accounts.clone()),
        Fence::Organizations(_) | Fence::Place => None,
    });
    sets.reduce(|all, more| all.intersection(&more).copied().collect())
}

/// The accounts that principals and conditions let in together.
fn let_in<'s>(named: &Named<'s>, confined: Option<&BTreeSet<&'s str>>) -> BTreeSet<&'s str> {
    let mut accounts = named.accounts.clone();
    if let Some(confined) = confined {
        accounts.retain(|account| confined.contains(account));
        if named.everyone.is_some() || named.service {
            accounts.extend(confined);
        }
    }
    accounts
}

fn named(statement: &Statement, rules: Rules) -> Named<'_> {
    let mut named = Named::default();
    if !statement.not_principals.is_empty() {
        named.everyone = Some("NotPrincipal, which lets in all but a few");
    }
    for principal in &statement.principals {
        name(&mut named, principal, rules);
    }
    named
}

fn name<'s>(named: &mut Named<'s>, principal: &'s Principal, rules: Rules) {
    let value = principal.value.trim();
    match principal.kind.to_ascii_lowercase().as_str() {
        "federated" if rules == Rules::General && account(value).is_some() => named.accounts.extend(account(value)),
        "federated" => named.everyone = Some("a federated principal, which anyone can become"),
        "service" if fixed(value) => named.service = true,
        "canonicaluser" if fixed(value) => {
            named.canonical_users.insert(value);
        }
        _ if value == "*" => named.everyone = Some("Principal *"),
        _ if fixed(value) || (rules == Rules::General && account(value).is_some()) => {
            named.accounts.extend(account(value));
        }
        _ => named.everyone = Some("a wildcard in Principal"),
    }
}

/// Whether a value stands for itself alone. What a service takes literally (`*` in `StringEquals`) counts as a
/// wildcard all the same, as S3 has it.
fn fixed(value: &str) -> bool {
    !value.is_empty() && !value.contains(['*', '?']) && !value.contains("${")
}

/// The account of a principal: an id, or the one in an ARN. `None` for ids of deleted principals and for `CloudFront`'s
/// origin access identities, which are at nobody's disposal but a distribution's.
fn account(principal: &str) -> Option<&str> {
    let account = if principal.contains(':') { principal.split(':').nth(4)? } else { principal };
    is_account(account).then_some(account)
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

/// The organization in `arn:aws:organizations::A:organization/o-…` or `…:ou/o-…/ou-…`.
fn organization(arn: &str) -> Option<&str> {
    let path = arn.strip_prefix("arn:")?.split(':').nth(4)?;
    path.split('/').find(|part| part.starts_with("o-"))
}

/// What a condition confines a statement to; `None` where it leaves a way around.
fn fence(condition: &Condition, rules: Rules) -> Option<Fence<'_>> {
    let operator = operator(&condition.operator).filter(|_| !condition.values.is_empty())?;
    let key = condition.key.to_ascii_lowercase();
    match (operator, key.as_str()) {
        (Operator::Text | Operator::Address, "aws:sourceip") => narrow(&condition.values).then_some(Fence::Place),
        (Operator::Bool, "elasticfilesystem:accessedviamounttarget") => mounted(condition, rules),
        (Operator::Text, key) => text_fence(condition, key, rules),
        _ => None,
    }
}

/// EFS counts a file system that answers through its mount targets alone as private (its user guide).
fn mounted(condition: &Condition, rules: Rules) -> Option<Fence<'_>> {
    let yes = condition.values.iter().all(|value| value.trim().eq_ignore_ascii_case("true"));
    (rules == Rules::FileSystem && yes).then_some(Fence::Place)
}

fn text_fence<'c>(condition: &'c Condition, key: &str, rules: Rules) -> Option<Fence<'c>> {
    let values = || condition.values.iter().map(|value| value.trim());
    match key {
        "aws:principalorgpaths" | "aws:sourceorgpaths" | "aws:vpceorgpaths" => organization_paths(condition),
        "aws:principalarn" | "aws:sourcearn" | "s3:dataaccesspointarn" => arns(condition, rules),
        "aws:userid" => values().all(|id| fixed_user(id, rules)).then_some(Fence::Place),
        _ if !values().all(fixed) => None,
        "aws:principalaccount"
        | "aws:sourceaccount"
        | "aws:sourceowner"
        | "aws:vpceaccount"
        | "s3:dataaccesspointaccount"
        | "kms:calleraccount" => Some(Fence::Accounts(values().collect())),
        "aws:principalorgid" | "aws:sourceorgid" | "aws:vpceorgid" => Some(Fence::Organizations(values().collect())),
        "aws:sourcevpc" | "aws:sourcevpce" | "aws:sourcevpcarn" | "s3:x-amz-server-side-encryption-aws-kms-key-id" => {
            Some(Fence::Place)
        }
        _ => None,
    }
}

/// The operators that confine.
#[derive(Debug, Clone, Copy)]
enum Operator {
    Text,
    Address,
    Bool,
}

/// The operator behind its prefix. `None` for what is true where the key is absent (`…IfExists`, `ForAllValues:`),
/// for what only excludes (`…Not…`) and for what compares nothing (`Null`).
fn operator(written: &str) -> Option<Operator> {
    let written = written.to_ascii_lowercase();
    match written.strip_prefix("foranyvalue:").unwrap_or(&written) {
        "stringequals" | "stringequalsignorecase" | "stringlike" | "arnequals" | "arnlike" => Some(Operator::Text),
        "ipaddress" => Some(Operator::Address),
        "bool" => Some(Operator::Bool),
        _ => None,
    }
}

/// `o-…/r-…/ou-…/*`: what follows the organization may be open.
fn organization_paths(condition: &Condition) -> Option<Fence<'_>> {
    let organizations = condition.values.iter().map(|path| path.split('/').next().unwrap_or_default().trim());
    organizations.clone().all(fixed).then(|| Fence::Organizations(organizations.collect()))
}

/// A role's id confines a role's sessions too, but S3 counts only what is fixed to the end.
fn fixed_user(id: &str, rules: Rules) -> bool {
    let role = id.split(':').next().unwrap_or_default();
    fixed(id) || (rules == Rules::General && role.len() >= 16 && fixed(role))
}

fn arns(condition: &Condition, rules: Rules) -> Option<Fence<'_>> {
    let of_access_point = condition.key.eq_ignore_ascii_case("s3:DataAccessPointArn");
    let account_suffices = match rules {
        Rules::General => true,
        Rules::AccessPoint | Rules::VpcAccessPoint => false,
        Rules::Bucket | Rules::FileSystem => of_access_point,
    };
    let mut accounts = BTreeSet::new();
    for arn in &condition.values {
        let account = account(arn);
        let confines = fixed(arn) || (account_suffices && (account.is_some() || one_bucket(arn)));
        if !confines {
            return None;
        }
        accounts.extend(account);
    }
    Some(if accounts.is_empty() { Fence::Place } else { Fence::Accounts(accounts) })
}

/// `arn:aws:s3:*:*:name` is one bucket: its name is unique in the world.
fn one_bucket(arn: &str) -> bool {
    let parts: Vec<_> = arn.splitn(6, ':').collect();
    matches!(parts[..], ["arn", _, "s3", _, _, bucket] if fixed(bucket) && !bucket.contains('/'))
}

/// Whether addresses are few enough: S3 takes what is wider than /8 or, in IPv6, /32 for public; here, half of all
/// IPv4 addresses in pieces too.
fn narrow(values: &[String]) -> bool {
    let nets: Option<Vec<IpNet>> = values.iter().map(|value| net(value)).collect();
    let Some(nets) = nets else { return false };
    let narrow = |net: &IpNet| match net {
        IpNet::V4(net) => net.prefix_len() >= 8,
        IpNet::V6(net) => net.prefix_len() >= 32,
    };
    nets.iter().all(narrow) && !most_of_the_world(&nets)
}

fn most_of_the_world(nets: &[IpNet]) -> bool {
    let v4 = nets.iter().filter_map(|net| match net {
        IpNet::V4(net) => Some(net.trunc()),
        IpNet::V6(_) => None,
    });
    let pieces = Ipv4Net::aggregate(&v4.collect());
    let addresses: u64 = pieces.iter().map(|net| 1_u64 << (32 - u32::from(net.prefix_len()).min(32))).sum();
    addresses >= 1 << 31
}

/// A network, or an address alone. A prefix may be written with leading zeros.
fn net(text: &str) -> Option<IpNet> {
    let (address, prefix) = text.trim().split_once('/').unwrap_or((text.trim(), ""));
    let address: IpAddr = address.parse().ok()?;
    let all = if address.is_ipv4() { 32 } else { 128 };
    let prefix = if prefix.is_empty() { all } else { prefix.parse().ok()? };
    IpNet::new(address, prefix).ok()
}

/// The members that a policy is read by, spelled as AWS documents them.
fn respelled(document: &Map<String, Value>) -> Value {
    const STATEMENT: [&str; 8] =
        ["Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"];
    let statement = |value: &Value| value.as_object().map_or(Value::Null, |map| renamed(map, &STATEMENT));
    let Value::Object(mut document) = renamed(document, &["Statement"]) else { return Value::Null };
    if let Some(statements) = document.get_mut("Statement") {
        *statements = match &*statements {
            Value::Array(statements) => statements.iter().map(statement).collect(),
            lone => statement(lone),
        };
    }
    Value::Object(document)
}

fn renamed(map: &Map<String, Value>, names: &[&str]) -> Value {
    let spelled = |key: &String| match names.iter().find(|name| name.eq_ignore_ascii_case(key)) {
        Some(name) => (*name).to_owned(),
        None => key.clone(),
    };
    map.iter().map(|(key, value)| (spelled(key), value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::sample::{select, subsequence};
    use serde_json::json;

    const HOME: &str = "111122223333";
    const STRANGER: &str = "999988887777";

    fn settings() -> Settings {
        let mut settings = Settings::default();
        settings.accounts.insert("444455556666".to_owned(), crate::settings::Account::default());
        settings.own.organization = "o-ours".to_owned();
        settings
    }

    fn judged(document: &Value, rules: Rules) -> Audience {
        let settings = settings();
        let home = Home { settings: &settings, account: HOME };
        Policy::read_tolerantly(document).expect("a policy").audience(rules, &home)
    }

    fn allowing(principal: Value, condition: Value) -> Value {
        let mut statement = json!({"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::data/*"});
        statement["Principal"] = principal;
        statement["Condition"] = condition;
        json!({"Version": "2012-10-17", "Statement": [statement]})
    }

    fn public(principal: Value, condition: Value, rules: Rules) -> bool {
        judged(&allowing(principal, condition), rules).everyone.is_some()
    }

    fn public_if(condition: Value) -> bool {
        public(json!("*"), condition, Rules::Bucket)
    }

    fn outsiders(principal: Value, condition: Value) -> Vec<String> {
        judged(&allowing(principal, condition), Rules::Bucket).outsiders.into_iter().collect()
    }

    #[test]
    fn everyone_in_every_spelling() {
        for principal in [
            json!("*"),
            json!({"AWS": "*"}),
            json!({"AWS": ["arn:aws:iam::111122223333:root", "*"]}),
            json!({"aws": "*"}),
            json!(["*"]),
            json!({"AWS": "arn:aws:iam::*:root"}),
            json!({"AWS": "arn:aws:iam::111122223333:role/*"}),
            json!({"AWS": "${aws:PrincipalAccount}"}),
            json!({"Service": "*"}),
            json!({"CanonicalUser": "*"}),
            json!({"Federated": "graph.facebook.com"}),
            json!({"Federated": "arn:aws:iam::111122223333:saml-provider/idp"}),
        ] {
            assert!(public(principal.clone(), json!({}), Rules::Bucket), "{principal}");
        }
    }

    #[test]
    fn those_who_are_named_are_not_everyone() {
        for principal in [
            json!({"AWS": "arn:aws:iam::111122223333:root"}),
            json!({"AWS": [HOME, "arn:aws:sts::111122223333:assumed-role/r/s"]}),
            json!({"Service": "cloudtrail.amazonaws.com"}),
            json!({"AWS": "AROAEXAMPLEEXAMPLE"}),
            json!({"AWS": "arn:aws:iam::cloudfront:user/CloudFront Origin Access Identity E1EXAMPLE"}),
            json!({"AWS": []}),
            json!({}),
            Value::Null,
        ] {
            assert_eq!(
                judged(&allowing(principal.clone(), json!({})), Rules::Bucket),
                Audience::default(),
                "{principal}"
            );
        }
    }

    #[test]
    fn fixed_values_confine() {
        for condition in [
            json!({"StringEquals": {"aws:SourceVpc": "vpc-91237329"}}),
            json!({"StringEquals": {"AWS:SOURCEVPCE": ["vpce-1", "vpce-2"]}}),
            json!({"StringLike": {"aws:SourceVpc": "vpc-91237329"}}),
            json!({"StringEquals": {"aws:PrincipalOrgID": "o-ours"}}),
            json!({"ForAnyValue:StringLike": {"aws:PrincipalOrgPaths": "o-ours/r-ab12/*"}}),
            json!({"StringEquals": {"aws:SourceAccount": HOME}}),
            json!({"StringEquals": {"AWS:SourceOwner": HOME}}),
            json!({"ArnEquals": {"aws:SourceArn": "arn:aws:sns:eu-west-1:111122223333:t"}}),
            json!({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::111122223333:role/r"}}),
            json!({"StringEquals": {"aws:userid": "AIDAEXAMPLEEXAMPLE"}}),
            json!({"StringEquals": {"s3:DataAccessPointAccount": HOME}}),
            json!({"StringEquals": {"s3:x-amz-server-side-encryption-aws-kms-key-id": "arn:aws:kms:eu-west-1:1:key/k"}}),
            json!({"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}),
            json!({"IpAddress": {"aws:SourceIp": ["203.0.113.7", "2001:db8::/32", "10.0.0.0/8"]}}),
        ] {
            assert!(!public_if(condition.clone()), "{condition}");
        }
    }

    #[test]
    fn what_is_not_fixed_does_not() {
        for condition in [
            json!({"StringLike": {"aws:SourceVpc": "vpc-*"}}),
            json!({"StringLike": {"aws:SourceVpc": "vpc-?"}}),
            json!({"StringEquals": {"aws:SourceVpc": ["vpc-1", "*"]}}),
            json!({"StringEquals": {"aws:PrincipalOrgID": "${aws:ResourceOrgID}"}}),
            json!({"StringLike": {"aws:PrincipalOrgID": "o-*"}}),
            json!({"ForAnyValue:StringLike": {"aws:PrincipalOrgPaths": "*/r-ab12"}}),
            json!({"ArnLike": {"aws:SourceArn": "arn:aws:s3:*:*:*"}}),
            json!({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::111122223333:role/*"}}),
            json!({"StringLike": {"aws:userid": "AROAEXAMPLEEXAMPLE:*"}}),
            json!({"StringEquals": {"aws:SourceVpc": []}}),
            json!({"StringEquals": {"aws:SourceVpc": ""}}),
        ] {
            assert!(public_if(condition.clone()), "{condition}");
        }
    }

    #[test]
    fn what_does_not_tell_callers_apart_does_not() {
        for condition in [
            json!({"Bool": {"aws:SecureTransport": "true"}}),
            json!({"StringLike": {"aws:Referer": "https://example.com/*"}}),
            json!({"StringEquals": {"aws:Referer": "secret"}}),
            json!({"StringEquals": {"aws:UserAgent": "secret"}}),
            json!({"StringEquals": {"aws:ResourceAccount": HOME}}),
            json!({"StringEquals": {"aws:username": "alice"}}),
            json!({"StringEquals": {"aws:VpcSourceIp": "10.0.0.1"}}),
            json!({"IpAddress": {"aws:VpcSourceIp": "10.0.0.1"}}),
            json!({"StringEquals": {"www.amazon.com:app_id": "x"}}),
            json!({"DateLessThan": {"aws:CurrentTime": "2027-01-01T00:00:00Z"}}),
            json!({"Bool": {"elasticfilesystem:AccessedViaMountTarget": "true"}}),
        ] {
            assert!(public_if(condition.clone()), "{condition}");
        }
    }

    #[test]
    fn operators_with_a_way_around_do_not() {
        for operator in [
            "StringNotEquals",
            "StringNotLike",
            "StringNotEqualsIgnoreCase",
            "ArnNotEquals",
            "StringEqualsIfExists",
            "StringLikeIfExists",
            "ForAllValues:StringEquals",
            "ForAnyValue:StringNotEquals",
            "ForAnyValue:StringEqualsIfExists",
            "Null",
            "IpAddress",
            "NumericEquals",
            "BinaryEquals",
        ] {
            assert!(public_if(json!({operator: {"aws:PrincipalOrgID": "o-ours"}})), "{operator}");
        }
        assert!(public_if(json!({"NotIpAddress": {"aws:SourceIp": "203.0.113.0/24"}})));
        assert!(public_if(json!({"IpAddressIfExists": {"aws:SourceIp": "203.0.113.0/24"}})));
        assert!(public_if(json!({"StringEquals": "o-ours"})));
        assert!(public_if(json!("StringEquals")));
    }

    #[test]
    fn addresses_wider_than_slash_8_or_32_are_everyone() {
        for wide in ["0.0.0.0/0", "0.0.0.0/00", "::/0", "128.0.0.0/1", "96.0.0.0/7", "2000::/31", "nonsense", ""] {
            assert!(public_if(json!({"IpAddress": {"aws:SourceIp": wide}})), "{wide}");
            assert!(public_if(json!({"IpAddress": {"aws:SourceIp": ["203.0.113.0/24", wide]}})), "{wide}");
        }
        assert!(!public_if(json!({"IpAddress": {"aws:SourceIp": "96.0.0.0/8"}})));
        let pieces: Vec<String> = (0..128).map(|first| format!("{first}.0.0.0/8")).collect();
        assert!(public_if(json!({"IpAddress": {"aws:SourceIp": pieces}})));
    }

    #[test]
    fn an_access_point_arn_is_fixed_by_its_account_in_a_bucket_policy_alone() {
        let any = json!({"StringLike": {"s3:DataAccessPointArn": "arn:aws:s3:eu-west-1:111122223333:accesspoint/*"}});
        assert!(!public(json!("*"), any.clone(), Rules::Bucket));
        assert!(public(json!("*"), any, Rules::AccessPoint));
        let foreign = json!({"StringLike": {"s3:DataAccessPointArn": "arn:aws:s3:eu-west-1:*:accesspoint/mine"}});
        assert!(public(json!("*"), foreign, Rules::Bucket));
        assert!(!public(json!("*"), json!({}), Rules::VpcAccessPoint));
    }

    #[test]
    fn other_services_are_judged_by_account() {
        for condition in [
            json!({"ArnLike": {"aws:SourceArn": "arn:aws:s3:*:*:uploads"}}),
            json!({"ArnLike": {"aws:SourceArn": "arn:aws:sns:*:111122223333:*"}}),
            json!({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::111122223333:role/*"}}),
            json!({"StringEquals": {"kms:CallerAccount": HOME}}),
            json!({"StringLike": {"aws:userid": "AROAEXAMPLEEXAMPLE:*"}}),
        ] {
            assert!(!public(json!({"AWS": "*"}), condition.clone(), Rules::General), "{condition}");
        }
        assert!(public(json!("*"), json!({"ArnLike": {"aws:SourceArn": "arn:aws:s3:*:*:*"}}), Rules::General));
        assert!(public(json!("*"), json!({"StringEquals": {"kms:ViaService": "s3.amazonaws.com"}}), Rules::General));
        let mounted = json!({"Bool": {"elasticfilesystem:AccessedViaMountTarget": "true"}});
        assert!(!public(json!({"AWS": "*"}), mounted, Rules::FileSystem));
    }

    #[test]
    fn not_principal_lets_in_all_but_a_few() {
        let document = json!({"Statement": {
            "Effect": "Allow", "NotPrincipal": {"AWS": "arn:aws:iam::111122223333:user/bob"},
            "Action": "s3:*", "Resource": "*",
        }});
        assert!(judged(&document, Rules::Bucket).everyone.is_some());
    }

    #[test]
    fn outside_accounts_are_named() {
        let stranger = json!({"AWS": "arn:aws:iam::999988887777:role/r"});
        assert_eq!(outsiders(stranger.clone(), json!({})), ["account 999988887777"]);
        assert_eq!(outsiders(json!({"AWS": STRANGER}), json!({})), ["account 999988887777"]);
        assert_eq!(outsiders(json!("*"), json!({"StringEquals": {"aws:PrincipalAccount": STRANGER}})).len(), 1);
        assert_eq!(
            outsiders(json!("*"), json!({"StringEquals": {"aws:PrincipalOrgID": "o-theirs"}})),
            ["organization o-theirs"]
        );
        let service = json!({"Service": "sns.amazonaws.com"});
        assert_eq!(outsiders(service, json!({"StringEquals": {"aws:SourceAccount": STRANGER}})).len(), 1);
        assert!(outsiders(stranger, json!({"StringEquals": {"aws:PrincipalOrgID": "o-ours"}})).is_empty());
        assert!(outsiders(json!({"AWS": ["444455556666", HOME]}), json!({})).is_empty());
        assert!(outsiders(json!({"AWS": "arn:aws:iam::127311923021:root"}), json!({})).is_empty());
    }

    #[test]
    fn canonical_users_are_nobodys_that_we_know_of() {
        let audience = judged(&allowing(json!({"CanonicalUser": ["abc", LOG_DELIVERY]}), json!({})), Rules::Bucket);
        assert_eq!(audience.canonical_users.len(), 1);
        assert!(audience.outsiders.is_empty());
    }

    #[test]
    fn documents_in_every_shape() {
        let object = allowing(json!("*"), json!({}));
        let text = object.to_string();
        let quoted = Value::String(text.clone()).to_string();
        let encoded = percent_encoding::utf8_percent_encode(&text, percent_encoding::NON_ALPHANUMERIC).to_string();
        let lower = json!({"statement": {"effect": "allow", "principal": "*", "action": "s3:*", "resource": "*"}});
        for shape in [object, json!(text), json!(quoted), json!(encoded), lower] {
            assert!(judged(&shape, Rules::Bucket).everyone.is_some(), "{shape}");
        }
        for nothing in [json!({}), json!({"Statement": []}), json!({"Statement": "x"}), json!({"Statement": [1, null]})]
        {
            assert_eq!(judged(&nothing, Rules::Bucket), Audience::default(), "{nothing}");
        }
        for unreadable in [json!(null), json!("{"), json!("HIDDEN"), json!([]), json!({"omitted": true}), json!("")] {
            assert_eq!(Policy::read_tolerantly(&unreadable), None, "{unreadable}");
        }
    }

    #[test]
    fn grantees_of_sharing_calls() {
        let settings = settings();
        let home = Home { settings: &settings, account: HOME };
        assert!(Audience::of("all", &home).everyone.is_some());
        assert_eq!(Audience::of(STRANGER, &home).outsiders.len(), 1);
        assert_eq!(Audience::of("444455556666", &home).insiders.len(), 1);
        assert_eq!(Audience::of(HOME, &home), Audience::default());
        let ou = "arn:aws:organizations::999988887777:ou/o-ours/ou-ab12-11111111";
        assert!(Audience::of(ou, &home).outsiders.is_empty());
        let organization = "arn:aws:organizations::999988887777:organization/o-theirs";
        assert_eq!(Audience::of(organization, &home).outsiders.len(), 1);
    }

    /// How open: what a change may only raise or only lower.
    fn openness(audience: &Audience) -> u8 {
        match audience {
            Audience { everyone: Some(_), .. } => 3,
            Audience { outsiders, .. } if !outsiders.is_empty() => 2,
            Audience { canonical_users, .. } if !canonical_users.is_empty() => 1,
            _ => 0,
        }
    }

    fn condition() -> impl Strategy<Value = Condition> {
        let operators = select(vec![
            "StringEquals",
            "StringLike",
            "StringNotEquals",
            "StringEqualsIfExists",
            "ForAllValues:StringEquals",
            "ForAnyValue:StringLike",
            "ArnLike",
            "IpAddress",
            "NotIpAddress",
            "Bool",
            "Null",
            "",
        ]);
        let keys = select(vec![
            "aws:PrincipalOrgID",
            "aws:PrincipalOrgPaths",
            "aws:SourceIp",
            "aws:SourceArn",
            "aws:SourceAccount",
            "aws:PrincipalAccount",
            "aws:userid",
            "s3:DataAccessPointArn",
            "aws:Referer",
            "",
        ]);
        let values = vec![
            HOME,
            STRANGER,
            "444455556666",
            "o-ours",
            "o-theirs/r-1/*",
            "*",
            "10.0.0.0/8",
            "0.0.0.0/0",
            "${aws:x}",
            "arn:aws:s3:eu-west-1:999988887777:accesspoint/*",
            "arn:aws:s3:::data",
            "é",
            "",
        ];
        (operators, keys, subsequence(values, 0..4)).prop_map(|(operator, key, values)| Condition {
            operator: operator.to_owned(),
            key: key.to_owned(),
            values: values.into_iter().map(str::to_owned).collect(),
        })
    }

    fn principal() -> impl Strategy<Value = Principal> {
        let kinds = select(vec!["AWS", "Service", "Federated", "CanonicalUser", "*", "é"]);
        let values = select(vec![
            "*",
            HOME,
            STRANGER,
            "arn:aws:iam::999988887777:root",
            "arn:aws:iam::444455556666:role/r",
            "s3.amazonaws.com",
            "arn:aws:iam::*:root",
            "abc",
            "é:é:é:é:é",
            "",
        ]);
        (kinds, values).prop_map(|(kind, value)| Principal { kind: kind.to_owned(), value: value.to_owned() })
    }

    fn a_statement() -> impl Strategy<Value = Statement> {
        let principals = prop::collection::vec(principal(), 0..3);
        let excepted = prop::collection::vec(principal(), 0..2);
        let conditions = prop::collection::vec(condition(), 0..4);
        (any::<bool>(), principals, excepted, conditions).prop_map(|(allow, principals, not_principals, conditions)| {
            Statement { allow, principals, not_principals, conditions, ..Statement::default() }
        })
    }

    fn some_rules() -> impl Strategy<Value = Rules> {
        select(vec![Rules::Bucket, Rules::AccessPoint, Rules::VpcAccessPoint, Rules::FileSystem, Rules::General])
    }

    fn openness_of(statements: Vec<Statement>, rules: Rules) -> u8 {
        openness(&audience_of(statements, rules))
    }

    fn audience_of(statements: Vec<Statement>, rules: Rules) -> Audience {
        let settings = settings();
        Policy { statements }.audience(rules, &Home { settings: &settings, account: HOME })
    }

    proptest! {
        // Public alone: who an outsider is may be known from the very condition that is taken away.
        #[test]
        fn a_condition_less_is_never_less_public(statement in a_statement(), rules in some_rules(), which in 0..4_usize) {
            let mut freer = statement.clone();
            if which < freer.conditions.len() {
                freer.conditions.remove(which);
            }
            let is_public = |statement| audience_of(vec![statement], rules).everyone.is_some();
            prop_assert!(is_public(freer) || !is_public(statement));
        }

        #[test]
        fn a_principal_more_is_never_less_open(statement in a_statement(), more in principal(), rules in some_rules()) {
            let mut freer = statement.clone();
            freer.principals.push(more);
            if rules != Rules::VpcAccessPoint {
                prop_assert!(openness_of(vec![freer], rules) >= openness_of(vec![statement], rules));
            }
        }

        #[test]
        fn denying_changes_nothing(
            statements in prop::collection::vec(a_statement(), 0..4), deny in a_statement(), rules in some_rules(),
        ) {
            let mut more = statements.clone();
            more.push(Statement { allow: false, ..deny });
            prop_assert_eq!(audience_of(more, rules), audience_of(statements, rules));
        }

        #[test]
        fn the_order_of_statements_does_not_matter(
            statements in prop::collection::vec(a_statement(), 0..4), rules in some_rules(),
        ) {
            let backwards = statements.iter().rev().cloned().collect();
            prop_assert_eq!(audience_of(backwards, rules), audience_of(statements, rules));
        }

        #[test]
        fn a_statement_more_never_closes(
            statements in prop::collection::vec(a_statement(), 0..4), more in a_statement(), rules in some_rules(),
        ) {
            let mut all = statements.clone();
            all.push(more);
            prop_assert!(openness_of(all, rules) >= openness_of(statements, rules));
        }

        #[test]
        fn a_bucket_is_judged_no_milder_than_anything_else(statement in a_statement()) {
            let (general, bucket) = (audience_of(vec![statement.clone()], Rules::General), audience_of(vec![statement], Rules::Bucket));
            prop_assert!(bucket.everyone.is_some() || general.everyone.is_none());
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,80}", key in ".{0,20}") {
            let _ = Policy::read_tolerantly(&json!(text));
            let _ = judged(&allowing(json!({key.clone(): text.clone()}), json!({"StringLike": {key: text.clone()}})), Rules::General);
            let _ = public_if(json!({"IpAddress": {"aws:SourceIp": text}}));
        }
    }
}
