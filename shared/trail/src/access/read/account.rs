//! One account: its users, roles and groups with what they are given, and their credentials.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, LazyLock};

use serde_json::Value;

use super::asked::{Answers, Gaps, Told};
use super::report::{ROOT, Report, Row};
use super::{Managed, everything, owned, time};
use crate::access::{AccountAccess, Given, Key, Kind, Principal, Provider};
use crate::policy::Policy;
use crate::shape::{boolean, field, list, text, texts};
use crate::snapshot::Snapshot;

const DETAILS: &str = "iam:GetAccountAuthorizationDetails";
const KEYS: &str = "iam:ListAccessKeys";
const DEVICES: &str = "iam:ListVirtualMFADevices";

/// Reads the answers of an account about itself. Documents of policies that AWS manages are added to `managed`.
pub(super) fn read(snapshot: &Snapshot, managed: &mut Managed, gaps: &mut Gaps) -> AccountAccess {
    let answers = Answers::of_account(snapshot);
    let account = snapshot.account.as_str();
    let details = details(account, &answers, gaps);
    let credentials = Credentials::read(account, &answers, gaps);
    let mut reader = Reader { account, documents: HashMap::new(), credentials, gaps };
    if let Some(details) = details {
        reader.documents(details);
    }
    let principals = reader.principals(details);
    let groups = details.map(|details| reader.groups(details)).unwrap_or_default();
    reader.check_groups(&principals, &groups, details.is_some());
    let of_aws = reader.documents.iter().filter(|(arn, _)| arn.contains(":iam::aws:policy/"));
    managed.extend(of_aws.map(|(arn, policy)| ((*arn).to_owned(), Arc::clone(policy))));
    let providers = providers(account, &answers, gaps);
    AccountAccess { account: account.to_owned(), taken: snapshot.taken, principals, groups, providers }
}

/// Every account has an answer to this: without it, nobody's policies are known.
fn details<'s>(account: &str, answers: &Answers<'s>, gaps: &mut Gaps) -> Option<&'s Value> {
    let details = match gaps.judge(account, DETAILS, "", answers.about(DETAILS, "")) {
        Told::Body(details) => details,
        Told::Unknown => return None,
        Told::Nothing => {
            gaps.add(account, DETAILS, "AWS says that there is none: the account may be closed");
            return None;
        }
    };
    let is_known = ["UserDetailList", "RoleDetailList"].iter().all(|name| field(details, name).is_array());
    if !is_known {
        gaps.unreadable(account, DETAILS);
    }
    is_known.then_some(details)
}

struct Reader<'s, 'g> {
    account: &'s str,
    /// Managed policies by ARN.
    documents: HashMap<&'s str, Arc<Policy>>,
    credentials: Credentials<'s>,
    gaps: &'g mut Gaps,
}

impl<'s> Reader<'s, '_> {
    fn documents(&mut self, details: &'s Value) {
        for policy in list(field(details, "Policies")) {
            let arn = text(field(policy, "Arn"));
            match current(policy).and_then(|version| Policy::read(field(version, "Document"))) {
                Some(document) => drop(self.documents.insert(arn, Arc::new(document))),
                None => self.gaps.unreadable(self.account, arn),
            }
        }
    }

    fn principals(&mut self, details: Option<&'s Value>) -> Vec<Principal> {
        let mut principals = vec![self.root(details)];
        let Some(details) = details else {
            principals.extend(self.credentials.report.users().map(|(name, row)| Principal {
                arn: row.text("arn").to_owned(),
                created: row.time("user_creation_time"),
                ..self.credentials.of(Kind::User, name)
            }));
            return principals;
        };
        for user in list(field(details, "UserDetailList")) {
            let name = text(field(user, "UserName"));
            let known = self.credentials.of(Kind::User, name);
            let groups = texts(field(user, "GroupList")).into_iter().map(str::to_owned).collect();
            principals.push(Principal { groups, ..self.principal(user, known) });
        }
        for role in list(field(details, "RoleDetailList")) {
            let name = text(field(role, "RoleName"));
            let last_used = time(field(field(role, "RoleLastUsed"), "LastUsedDate"));
            let known = Principal { last_used, trust: self.trust(role), ..plain(Kind::Role, name) };
            principals.push(self.principal(role, known));
        }
        principals
    }

    /// Every account has a root user, whether or not anybody told of it.
    fn root(&self, details: Option<&Value>) -> Principal {
        let some_arn = details.and_then(|details| list(field(details, "RoleDetailList")).into_iter().next());
        let partition = some_arn.map_or("", |role| text(field(role, "Arn"))).split(':').nth(1).unwrap_or("aws");
        let row = self.credentials.report.of(ROOT);
        let told = row.map(|row| row.text("arn")).filter(|arn| arn.starts_with("arn:"));
        let arn = told.map_or_else(|| format!("arn:{partition}:iam::{}:root", self.account), str::to_owned);
        let created = row.and_then(|row| row.time("user_creation_time"));
        let known = self.credentials.of(Kind::Root, ROOT);
        let mfa = known.mfa.or_else(|| self.credentials.devices.contains(arn.as_str()).then_some(true));
        Principal { arn, created, mfa, name: "root".to_owned(), id: self.account.to_owned(), ..known }
    }

    /// What users and roles have in common.
    fn principal(&mut self, told: &Value, known: Principal) -> Principal {
        let arn = owned(told, "Arn");
        let boundary = text(field(field(told, "PermissionsBoundary"), "PermissionsBoundaryArn"));
        Principal {
            policies: self.given(told, &arn),
            boundary: (!boundary.is_empty()).then(|| self.managed(boundary)),
            id: owned(told, if known.kind == Kind::Role { "RoleId" } else { "UserId" }),
            created: time(field(told, "CreateDate")),
            tags: tags(told),
            arn,
            ..known
        }
    }

    fn trust(&mut self, role: &Value) -> Option<Policy> {
        let trust = Policy::read(field(role, "AssumeRolePolicyDocument"));
        if trust.is_none() {
            let what = format!("trust policy of {}", text(field(role, "Arn")));
            self.gaps.add(self.account, what, "its trust policy cannot be read: who may take the role is unknown");
        }
        trust
    }

    fn groups(&mut self, details: &Value) -> BTreeMap<String, Vec<Given>> {
        let groups = list(field(details, "GroupDetailList")).into_iter();
        groups.map(|group| (owned(group, "GroupName"), self.given(group, text(field(group, "Arn"))))).collect()
    }

    /// A member of a group that was not told has rights that are not known.
    fn check_groups(&mut self, principals: &[Principal], groups: &BTreeMap<String, Vec<Given>>, is_told: bool) {
        let named: HashSet<&String> = principals.iter().flat_map(|principal| &principal.groups).collect();
        for name in named.into_iter().filter(|name| is_told && !groups.contains_key(*name)) {
            self.gaps.add(self.account, format!("group {name}"), "its policies were not told: take the snapshot again");
        }
    }

    /// Inline and attached policies.
    fn given(&mut self, holder: &Value, arn: &str) -> Vec<Given> {
        let mut given = Vec::new();
        for member in ["UserPolicyList", "RolePolicyList", "GroupPolicyList"] {
            for inline in list(field(holder, member)) {
                let name = owned(inline, "PolicyName");
                let document = Policy::read(field(inline, "PolicyDocument")).map(Arc::new);
                if document.is_none() {
                    self.gaps.unreadable(self.account, format!("inline policy {name} of {arn}"));
                }
                given.push(Given { name, inline: true, document });
            }
        }
        let attached = list(field(holder, "AttachedManagedPolicies")).into_iter();
        given.extend(attached.map(|policy| self.managed(text(field(policy, "PolicyArn")))));
        given
    }

    fn managed(&mut self, arn: &str) -> Given {
        let document = self.documents.get(arn).cloned().or_else(|| known(arn));
        if document.is_none() {
            self.gaps.add(self.account, arn, UNTOLD);
        }
        Given { name: arn.to_owned(), inline: false, document }
    }
}

/// Why a policy that is given to somebody has no document.
pub(super) const UNTOLD: &str =
    "its document was not among the answers: it is judged by its name alone. Take the snapshot again";

/// The document of a policy that says the same everywhere and always.
pub(super) fn known(arn: &str) -> Option<Arc<Policy>> {
    static ADMINISTRATION: LazyLock<Arc<Policy>> = LazyLock::new(|| Arc::new(everything()));
    arn.ends_with(":iam::aws:policy/AdministratorAccess").then(|| Arc::clone(&ADMINISTRATION))
}

/// The version of a managed policy that is in force.
fn current(policy: &Value) -> Option<&Value> {
    let versions = list(field(policy, "PolicyVersionList"));
    let default = text(field(policy, "DefaultVersionId"));
    let in_force = versions.iter().find(|version| {
        let id = text(field(version, "VersionId"));
        boolean(field(version, "IsDefaultVersion")).unwrap_or(!id.is_empty() && id == default)
    });
    in_force.or(versions.first().filter(|_| versions.len() == 1)).copied()
}

fn tags(told: &Value) -> BTreeMap<String, String> {
    list(field(told, "Tags")).into_iter().map(|tag| (owned(tag, "Key"), owned(tag, "Value"))).collect()
}

fn providers(account: &str, answers: &Answers<'_>, gaps: &mut Gaps) -> Vec<Provider> {
    const LISTS: [(&str, &str, bool); 2] = [
        ("iam:ListSAMLProviders", "SAMLProviderList", true),
        ("iam:ListOpenIDConnectProviders", "OpenIDConnectProviderList", false),
    ];
    let mut providers = Vec::new();
    for (call, member, saml) in LISTS {
        let Some(body) = gaps.judge(account, call, "", answers.about(call, "")).body() else { continue };
        for provider in gaps.rows(account, call, body, member) {
            let (arn, created) = (owned(provider, "Arn"), time(field(provider, "CreateDate")));
            providers.push(Provider { arn, saml, created });
        }
    }
    providers
}

/// What the credential report, lists of keys and lists of devices tell.
struct Credentials<'s> {
    report: Report,
    /// Access keys by user name.
    keys: HashMap<&'s str, Vec<Key>>,
    /// ARNs of whoever has a virtual MFA device.
    devices: HashSet<&'s str>,
}

impl<'s> Credentials<'s> {
    fn read(account: &str, answers: &Answers<'s>, gaps: &mut Gaps) -> Self {
        let devices = gaps.judge(account, DEVICES, "", answers.about(DEVICES, "")).body();
        let devices = devices.map(|body| gaps.rows(account, DEVICES, body, "VirtualMFADevices")).unwrap_or_default();
        let mut keys = HashMap::new();
        for answer in answers.of(KEYS) {
            let user = answer.parameters.get("UserName").map_or("", String::as_str);
            // What is refused for one user is unknown for that user alone.
            if let Some(body) = gaps.judge(account, KEYS, user, &[answer]).body() {
                let told = gaps.rows(account, KEYS, body, "AccessKeyMetadata");
                keys.insert(user, told.into_iter().map(key).collect());
            }
        }
        Self {
            report: Report::read(account, answers.about("iam:GetCredentialReport", ""), gaps),
            keys,
            devices: devices.into_iter().map(|device| text(field(field(device, "User"), "Arn"))).collect(),
        }
    }

    /// A principal with nothing but its credentials.
    fn of(&self, kind: Kind, name: &str) -> Principal {
        let row = self.report.of(name);
        let reported = row.map(Row::keys).unwrap_or_default();
        let keys = match self.keys.get(name) {
            Some(told) => with_use(told, reported),
            None => reported,
        };
        let password = row.and_then(Row::password);
        let used = keys.iter().map(|key| key.last_used).chain([password.as_ref().and_then(|p| p.last_used)]);
        let last_used = used.max().flatten();
        let mfa = row.and_then(|row| row.flag("mfa_active"));
        Principal { password, mfa, keys, last_used, ..plain(kind, name) }
    }
}

fn key(told: &Value) -> Key {
    Key {
        id: owned(told, "AccessKeyId"),
        active: text(field(told, "Status")).eq_ignore_ascii_case("active"),
        created: time(field(told, "CreateDate")),
        last_used: None,
    }
}

/// Keys with their ids, and when they were used: the report has that, without ids. They are the same where the time
/// of creation is, or where there is but one.
fn with_use(told: &[Key], mut reported: Vec<Key>) -> Vec<Key> {
    let mut keys = told.to_vec();
    let is_lone = keys.len() == 1 && reported.len() == 1;
    for key in &mut keys {
        let same =
            reported.iter().position(|slot| is_lone || (slot.created == key.created && slot.active == key.active));
        key.last_used = same.and_then(|place| reported.swap_remove(place).last_used);
    }
    keys
}

fn plain(kind: Kind, name: &str) -> Principal {
    Principal {
        kind,
        arn: String::new(),
        name: name.to_owned(),
        id: String::new(),
        created: None,
        policies: Vec::new(),
        groups: Vec::new(),
        boundary: None,
        trust: None,
        password: None,
        mfa: None,
        keys: Vec::new(),
        last_used: None,
        tags: BTreeMap::new(),
    }
}
