//! Whether the organization as a whole is recorded, and its trails are protected.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::alert::clean;
use crate::control::{Asked, Control, Look, Recording, References, Verdict, said_list};
use crate::detection::Severity;
use crate::policy::{Policy, Statement};
use crate::shape::{field, list, text};
use crate::snapshot::GLOBAL;

pub(super) const ALL: &[&Control] = &[&ORGANIZATION, &PROTECTED];

/// One trail for all accounts.
static ORGANIZATION: Control = Control {
    id: "organization-trail",
    title: "An organization trail records every account",
    severity: Severity::High,
    references: References { others: &[("SOC 2", "CC7.2"), ("NIST 800-53 r5", "AU-12(1)")], ..References::NONE },
    calls: &[
        "cloudtrail:DescribeTrails",
        "cloudtrail:GetTrailStatus",
        "organizations:DescribeOrganization",
        "organizations:ListAccounts",
    ],
    judge: organization_trail,
    why: "An account that is created tomorrow is recorded by an organization trail, and by no other. Nobody in a member \
          account can stop it.",
    runbook: &[
        "Create it in the management account or by a delegated administrator",
        "Look why the accounts named are left out",
    ],
};

/// Members cannot touch trails.
static PROTECTED: Control = Control {
    id: "trail-protected-by-policy",
    title: "A service control policy protects trails, log buckets and keys",
    severity: Severity::High,
    references: References {
        others: &[("SOC 2", "CC6.1"), ("SOC 2", "CC6.3"), ("NIST 800-53 r5", "AU-9(4)")],
        ..References::NONE
    },
    calls: &[
        "organizations:DescribeOrganization",
        "organizations:ListPolicies",
        "organizations:DescribePolicy",
        "organizations:ListTargetsForPolicy",
    ],
    judge: protected,
    why: "An administrator of a member account can do anything there, but for what the organization denies.",
    runbook: &["Attach a policy to the root that denies the calls named, but to the roles that need them"],
};

fn organization_trail(look: &Look<'_>) -> Vec<Verdict> {
    let account = look.account();
    match look.organization() {
        Asked::Body(_) => {}
        Asked::Absent(_) => return vec![look.not_applicable(account, "the account is in no organization")],
        Asked::Blind(_) => return vec![look.blinded(account)],
    }
    let trails: Vec<_> = look.trails().iter().filter(|trail| trail.organization).collect();
    let (mut on, mut why) = (None, Vec::new());
    for trail in &trails {
        match look.recording(trail, trail.home_region) {
            Recording::Yes => on = on.or(Some(*trail)),
            Recording::No(reason) => why.push(reason),
            Recording::Blind => {}
        }
    }
    let Some(trail) = on else {
        let fix = "aws cloudtrail create-trail --name NAME --s3-bucket-name BUCKET --is-organization-trail \
                   --is-multi-region-trail --enable-log-file-validation --kms-key-id KEY";
        let verdict = match () {
            () if why.len() < trails.len() || !look.dark_regions().is_empty() => look.blinded(account),
            () if trails.is_empty() => look.fail(account, "no organization trail is seen in this account").fix(fix),
            () => look.fail(account, said_list(why.iter().map(String::as_str))),
        };
        return vec![verdict];
    };
    let mut verdicts =
        vec![look.pass(account, format!("recorded by {} of account {}", clean(trail.name), clean(trail.owner)))];
    verdicts.extend(every_account(look));
    verdicts
}

/// Over all accounts: judged where the list of accounts was asked for.
fn every_account(look: &Look<'_>) -> Option<Verdict> {
    const CALL: &str = "organizations:ListAccounts";
    look.view.ask(CALL, GLOBAL, &[]).0?;
    let look = look.anew();
    let organization = match look.organization() {
        Asked::Body(body) => text(field(body, "Id")),
        Asked::Absent(_) | Asked::Blind(_) => "",
    };
    let resource = if organization.is_empty() { "organization" } else { organization };
    let Some(body) = look.body(CALL, GLOBAL, &[]) else { return Some(look.blinded(resource)) };
    let listed = list(field(body, "Accounts"));
    // `State` takes the place of `Status` from September 2026 on.
    let active =
        |account: &&&Value| [field(account, "State"), field(account, "Status")].iter().any(|s| text(s) == "ACTIVE");
    let ids: BTreeSet<&str> = listed.iter().filter(active).map(|account| text(field(account, "Id"))).collect();
    if ids.is_empty() {
        look.unreadable(CALL, GLOBAL);
        return Some(look.blinded(resource));
    }
    let known =
        |id: &str| look.context().accounts.iter().flatten().find(|member| member.id == id).and_then(|m| m.recorded);
    let left_out: Vec<&str> = ids.iter().copied().filter(|id| known(id) == Some(false)).collect();
    let unseen: Vec<&str> = ids.iter().copied().filter(|id| known(id).is_none()).collect();
    let total = ids.len();
    Some(match () {
        () if !left_out.is_empty() => look.fail(
            resource,
            format!("{} of {total} accounts are not recorded: {}", left_out.len(), said_list(left_out)),
        ),
        () if !unseen.is_empty() => look.unknown(
            resource,
            format!(
                "of {} of {total} accounts nobody knows whether they are recorded: {}",
                unseen.len(),
                said_list(unseen)
            ),
        ),
        () => look.pass(resource, format!("all of {total} accounts are recorded")),
    })
}

/// What nobody in a member account should be able to do.
const DENIED: [&str; 4] =
    ["cloudtrail:StopLogging", "cloudtrail:DeleteTrail", "cloudtrail:UpdateTrail", "cloudtrail:PutEventSelectors"];

/// What should be denied besides, where buckets and keys of the trail may lie.
const DENIED_TOO: [&str; 4] =
    ["s3:DeleteBucket", "s3:PutBucketPolicy", "s3:PutLifecycleConfiguration", "kms:ScheduleKeyDeletion"];

fn protected(look: &Look<'_>) -> Vec<Verdict> {
    const LIST: &str = "organizations:ListPolicies";
    let account = look.account();
    match look.organization() {
        Asked::Absent(_) => return vec![look.not_applicable(account, "the account is in no organization")],
        Asked::Blind(_) => return vec![look.blinded(account)],
        Asked::Body(_) => {}
    }
    let logging = look.context().logging_account.as_str();
    if look.view.ask(LIST, GLOBAL, &[]).0.is_none() && account != logging && !logging.is_empty() {
        return vec![
            look.not_applicable(account, format!("judged once for the organization, in account {}", clean(logging))),
        ];
    }
    let listed = match look.ask(LIST, GLOBAL, &[]) {
        Asked::Body(body) if field(body, "Policies").is_array() => list(field(body, "Policies")),
        Asked::Absent(_) => Vec::new(),
        Asked::Body(_) => {
            look.unreadable(LIST, GLOBAL);
            return vec![look.blinded(account)];
        }
        Asked::Blind(_) => return vec![look.blinded(account)],
    };
    let (mut everywhere, mut somewhere, mut targets) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for id in listed.iter().map(|policy| text(field(policy, "Id"))) {
        let (denied, at) = reach(look, id);
        match at {
            Reach::Root => everywhere.extend(denied),
            Reach::Some(names) if !denied.is_empty() => {
                somewhere.extend(denied);
                targets.extend(names);
            }
            Reach::Some(_) | Reach::Blind => {}
        }
    }
    vec![protection(look, &everywhere, &somewhere, &targets)]
}

fn protection(
    look: &Look<'_>,
    everywhere: &BTreeSet<&str>,
    somewhere: &BTreeSet<&str>,
    targets: &BTreeSet<String>,
) -> Verdict {
    let account = look.account();
    let missing = |from: &BTreeSet<&str>, wanted: &[&'static str]| -> Vec<&'static str> {
        wanted.iter().copied().filter(|action| !from.contains(action)).collect()
    };
    let open = missing(everywhere, &DENIED);
    let both: BTreeSet<&str> = everywhere | somewhere;
    match () {
        () if open.is_empty() && missing(everywhere, &DENIED_TOO).is_empty() => {
            look.pass(account, "denied to every member account, the management account aside")
        }
        () if look.is_blind() => look.blinded(account),
        () if open.is_empty() => {
            let open = said_list(missing(everywhere, &DENIED_TOO));
            look.partial(account, format!("trails are protected; not denied: {open}")).severity(Severity::Medium)
        }
        () if missing(&both, &DENIED).is_empty() => {
            look.partial(account, format!("denied in {} alone", said_list(targets.iter().map(String::as_str))))
        }
        () => look.fail(account, format!("no policy at the root denies {}", said_list(open))),
    }
}

/// Where a policy is attached.
enum Reach {
    Root,
    Some(BTreeSet<String>),
    Blind,
}

/// What a policy denies to everybody, but some roles, and where.
fn reach(look: &Look<'_>, id: &str) -> (BTreeSet<&'static str>, Reach) {
    let about = [("PolicyId", id)];
    let content =
        look.body("organizations:DescribePolicy", GLOBAL, &about).map(|body| field(field(body, "Policy"), "Content"));
    let targets = look.body("organizations:ListTargetsForPolicy", GLOBAL, &about);
    let Some(policy) = content.and_then(Policy::read) else { return (BTreeSet::new(), Reach::Blind) };
    let denies = |action: &str| {
        policy.statements.iter().any(|statement| is_denial(statement) && statement.covers_action(action))
    };
    let calls = DENIED.into_iter().chain(DENIED_TOO).filter(|action| denies(action)).collect();
    let Some(targets) = targets.map(|body| list(field(body, "Targets"))) else { return (calls, Reach::Blind) };
    if targets.iter().any(|target| text(field(target, "Type")) == "ROOT") {
        return (calls, Reach::Root);
    }
    let name = |target: &&Value| {
        let name = text(field(target, "Name"));
        if name.is_empty() { text(field(target, "TargetId")).to_owned() } else { name.to_owned() }
    };
    (calls, Reach::Some(targets.iter().map(name).collect()))
}

/// Whether a statement denies to all but the principals that it names. Under any other condition it denies less.
fn is_denial(statement: &Statement) -> bool {
    const EXEMPTIONS: [&str; 3] = ["aws:principalarn", "aws:principalaccount", "aws:principalisawsservice"];
    !statement.allow
        && statement.conditions.iter().all(|condition| {
            let key = condition.key.to_ascii_lowercase();
            let operator = condition.operator.to_ascii_lowercase();
            let spares = operator.contains("not")
                && condition.values.iter().all(|value| value != "*" && !value.ends_with(":root"));
            EXEMPTIONS.contains(&key.as_str()) && (spares || operator.starts_with("bool"))
        })
}

#[cfg(test)]
mod tests {
    use crate::control::{Context, Member, Status};
    use crate::controls::testing::{Account, absent, assert_said, context, denied};
    use Status::{Fail, NotApplicable, Partial, Pass, Unknown};
    use serde_json::json;

    #[test]
    fn every_account_is_recorded() {
        let mut own = Account::with_trail();
        own.trail("IsOrganizationTrail", false.into());
        let mut stopped = Account::with_trail();
        stopped.set("cloudtrail:GetTrailStatus", "IsLogging", false);
        let mut alone = Account::with_trail();
        alone.refuse_call("organizations:DescribeOrganization", &absent("AWSOrganizationsNotInUseException"));
        let mut refused = Account::with_trail();
        refused.refuse_call("organizations:ListAccounts", &denied());
        let mut dark = Account::with_trail();
        dark.refuse_call("cloudtrail:GetTrailStatus", &denied());
        for (account, status, words) in [
            (Account::with_trail(), Pass, "all of 3 accounts"),
            (own, Fail, "no organization trail"),
            (stopped, Fail, "is stopped"),
            (alone, NotApplicable, "no organization"),
            (refused, Unknown, "ListAccounts denied"),
            (dark, Unknown, "GetTrailStatus denied"),
        ] {
            assert_said(&account, &context(), ("organization-trail", status, words));
        }
        let of = |recorded| {
            let mut accounts = context().accounts.expect("accounts");
            accounts[2] = Member { recorded, ..accounts[2].clone() };
            Context { accounts: Some(accounts), ..context() }
        };
        assert_said(
            &Account::with_trail(),
            &of(Some(false)),
            ("organization-trail", Fail, "1 of 3 accounts are not recorded: 444455556666"),
        );
        assert_said(&Account::with_trail(), &of(None), ("organization-trail", Unknown, "nobody knows"));
    }

    #[test]
    fn members_cannot_touch_trails() {
        let with = |statement: serde_json::Value| {
            let mut account = Account::with_trail();
            let content = json!({"Statement": [statement]}).to_string();
            account.answer_call("organizations:DescribePolicy", &json!({"Policy": {"Content": content}}));
            account
        };
        let deny = |more: serde_json::Value| {
            let mut statement = json!({"Effect": "Deny", "Action": "*", "Resource": "*"});
            statement["Condition"] = more;
            statement
        };
        let mut somewhere = Account::with_trail();
        somewhere.answer_call(
            "organizations:ListTargetsForPolicy",
            &json!({"Targets": [{"Type": "ACCOUNT", "Name": "sandbox"}]}),
        );
        let mut refused = Account::with_trail();
        refused.refuse_call("organizations:DescribePolicy", &denied());
        let spared = json!({"ArnNotLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/deploy"}});
        let nobody = json!({"ArnNotLike": {"aws:PrincipalArn": "*"}});
        let trails = json!({"Effect": "Deny", "Action": "cloudtrail:*", "Resource": "*"});
        let allow = json!({"Effect": "Allow", "Action": "*", "Resource": "*"});
        let mut member = Account::with_trail();
        ["organizations:ListPolicies", "organizations:DescribePolicy"].iter().for_each(|call| member.forget(call));
        for (account, status, words) in [
            (Account::with_trail(), Pass, "denied to every member"),
            (with(deny(spared)), Pass, "denied to every member"),
            (with(trails), Partial, "not denied: s3:DeleteBucket"),
            (somewhere, Partial, "denied in sandbox alone"),
            (with(deny(nobody)), Fail, "cloudtrail:StopLogging"),
            (with(allow), Fail, "cloudtrail:StopLogging"),
            (refused, Unknown, "DescribePolicy denied"),
            (member, NotApplicable, "judged once"),
        ] {
            assert_said(&account, &context(), ("trail-protected-by-policy", status, words));
        }
    }
}
