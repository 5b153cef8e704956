//! The keys that log files are encrypted with: usable by `CloudTrail`, and by whom they can be read.

use std::collections::BTreeSet;

use serde_json::Value;

use super::bucket::names_its_source;
use super::recording::update;
use crate::alert::clean;
use crate::control::{Asked, Control, Look, References, Trail, Verdict, region_of, said_list, shell};
use crate::detection::Severity;
use crate::policy::{Audience, Home, Policy, Rules};
use crate::shape::{boolean, field, list, text};

pub(super) const ALL: &[&Control] = &[&USABLE, &ROTATION, &READERS];

/// Log files are encrypted with a key of ours.
static USABLE: Control = Control {
    id: "log-key-usable",
    title: "Log files are encrypted with a key of ours that CloudTrail can use",
    severity: Severity::Medium,
    references: References {
        cis: ["3.7", "3.5", "4.5"],
        others: &[
            ("Security Hub", "CloudTrail.2"),
            ("SOC 2", "CC6.1"),
            ("PCI DSS 3.2.1", "3.4"),
            ("PCI DSS 4.0", "10.3.2"),
            ("NIST 800-53 r5", "AU-9(3)"),
            ("NIST 800-53 r5", "SC-28(1)"),
            ("ISO 27001:2022", "A.8.24"),
        ],
    },
    calls: &["cloudtrail:DescribeTrails", "kms:DescribeKey", "kms:GetKeyPolicy"],
    judge: |look| look.of_each_trail(usable),
    why: "With a key of ours, reading a log file takes a right to the key besides one to the bucket. A key that is \
          dead loses the log files.",
    runbook: &[
        "A disabled key: enable it",
        "A key pending deletion: cancel that at once",
        "None: give the trail a key",
    ],
};

/// The key is rotated.
static ROTATION: Control = Control {
    id: "log-key-rotation",
    title: "The key of the log files is rotated every year",
    severity: Severity::Low,
    references: References {
        cis: ["3.8", "3.6", "4.6"],
        others: &[("Security Hub", "KMS.4"), ("PCI DSS 4.0", "3.7.4"), ("NIST 800-53 r5", "SC-12")],
    },
    calls: &["cloudtrail:DescribeTrails", "kms:DescribeKey", "kms:GetKeyRotationStatus"],
    judge: |look| of_each_key(look, rotation),
    why: "What one key has encrypted for years is lost with it at once.",
    runbook: &["Switch rotation on; old log files stay readable"],
};

/// Nobody outside reads.
static READERS: Control = Control {
    id: "log-key-readers",
    title: "Nobody outside can decrypt log files",
    severity: Severity::High,
    references: References { others: &[("SOC 2", "CC6.1"), ("NIST 800-53 r5", "AU-9")], ..References::NONE },
    calls: &["cloudtrail:DescribeTrails", "kms:DescribeKey", "kms:GetKeyPolicy", "kms:ListGrants"],
    judge: |look| of_each_key(look, readers),
    why: "Who can use the key and reach the bucket reads everything that anybody did.",
    runbook: &["Take kms:Decrypt from those named, in the key policy", "Retire the grants named"],
};

/// One verdict for each key that trails judged here use.
fn of_each_key(look: &Look<'_>, judge: fn(&Look<'_>, &str) -> Verdict) -> Vec<Verdict> {
    let keys: BTreeSet<&str> =
        look.own_trails().iter().filter(|trail| !trail.key.is_empty()).map(|trail| trail.key).collect();
    let mut verdicts: Vec<Verdict> = keys.iter().map(|key| judge(&look.anew(), key)).collect();
    if !look.dark_regions().is_empty() {
        verdicts.push(look.blinded(look.account()));
    } else if verdicts.is_empty() {
        verdicts.push(look.not_applicable(look.account(), "no trail that is judged here has a key of its own"));
    }
    verdicts
}

/// A key's description, by the name that the trail has for it.
fn described<'v>(look: &Look<'v>, key: &str) -> Asked<'v> {
    match look.ask("kms:DescribeKey", region_of(key), &[("KeyId", key)]) {
        Asked::Body(body) if field(body, "KeyMetadata").is_object() => Asked::Body(field(body, "KeyMetadata")),
        Asked::Body(_) => {
            look.unreadable("kms:DescribeKey", region_of(key));
            look.ask("kms:DescribeKey", region_of(key), &[("KeyId", key)])
        }
        other => other,
    }
}

/// The key's ARN, by which its policy was asked.
fn arn_of<'k>(metadata: &'k Value, key: &'k str) -> &'k str {
    Some(text(field(metadata, "Arn"))).filter(|arn| !arn.is_empty()).unwrap_or(key)
}

fn usable<'v>(look: &Look<'v>, trail: &'v Trail<'v>) -> Verdict {
    let key = trail.key;
    let fix = format!("{} --kms-key-id KEY", update(trail));
    if key.is_empty() {
        let touched = look.context().touched(&[trail.arn, trail.name], &["UpdateTrail", "CreateTrail"]);
        return look.fail(trail.arn, format!("log files are encrypted with no key of ours{touched}")).fix(fix);
    }
    let metadata = match described(look, key) {
        Asked::Body(metadata) => metadata,
        Asked::Absent(_) => {
            return look
                .fail(trail.arn, format!("the key {} does not exist", clean(key)))
                .severity(Severity::Critical)
                .fix(fix);
        }
        Asked::Blind(_) => return look.blinded(trail.arn),
    };
    let state = text(field(metadata, "KeyState"));
    if state.is_empty() {
        look.unreadable("kms:DescribeKey", region_of(key));
        return look.blinded(trail.arn);
    }
    if !matches!(state, "Enabled" | "Updating") {
        let fix = match state {
            "PendingDeletion" => format!("aws kms cancel-key-deletion --key-id {}", shell(arn_of(metadata, key))),
            _ => format!("aws kms enable-key --key-id {}", shell(arn_of(metadata, key))),
        };
        let names = [key, arn_of(metadata, key), text(field(metadata, "KeyId"))];
        let touched = look.context().touched(&names, &["DisableKey", "ScheduleKeyDeletion"]);
        let reason = format!("the key is {}{touched}: no log file can be read", clean(state));
        return look.fail(trail.arn, reason).severity(Severity::Critical).fix(fix);
    }
    if text(field(metadata, "KeyManager")) == "AWS" {
        return look.fail(trail.arn, "the key is AWS's own, not ours").fix(fix);
    }
    use_by_cloudtrail(look, trail, metadata)
}

fn use_by_cloudtrail<'v>(look: &Look<'v>, trail: &'v Trail<'v>, metadata: &Value) -> Verdict {
    let key = trail.key;
    let Some(policy) = key_policy(look, arn_of(metadata, key)) else { return look.blinded(trail.arn) };
    let lets_in = |statement: &&crate::policy::Statement| {
        statement.principals.iter().any(|principal| principal.value == "cloudtrail.amazonaws.com")
            && statement.covers_action("kms:GenerateDataKey")
    };
    let mut statements = policy.allows().filter(lets_in).peekable();
    if statements.peek().is_none() {
        return look.fail(trail.arn, "the key policy does not let CloudTrail encrypt (kms:GenerateDataKey)");
    }
    let owner = text(field(metadata, "AWSAccountId"));
    let mut weak = Vec::new();
    if !statements.all(names_its_source) {
        weak.push("the key policy lets CloudTrail encrypt for any trail (no aws:SourceArn)".to_owned());
    }
    if key.contains(":alias/") || key.starts_with("alias/") {
        weak.push(format!("{} is an alias, which may come to mean another key", clean(key)));
    }
    let logging = &look.context().logging_account;
    if !logging.is_empty() && owner != logging && owner == trail.owner {
        weak.push(format!("the key lies in account {}, not in the logging account", clean(owner)));
    }
    if weak.is_empty() {
        return look.pass(trail.arn, format!("{} is enabled and lets CloudTrail encrypt for this trail", clean(key)));
    }
    look.partial(trail.arn, said_list(weak.iter().map(String::as_str)))
}

fn key_policy(look: &Look<'_>, arn: &str) -> Option<Policy> {
    let body = look.body("kms:GetKeyPolicy", region_of(arn), &[("KeyId", arn)])?;
    let document = field(body, "Policy");
    let policy = Policy::read_tolerantly(document).filter(|_| !document.is_null());
    if policy.is_none() {
        look.unreadable("kms:GetKeyPolicy", region_of(arn));
    }
    policy
}

fn rotation(look: &Look<'_>, key: &str) -> Verdict {
    let metadata = match described(look, key) {
        Asked::Body(metadata) => metadata,
        Asked::Absent(_) => return look.not_applicable(key, "the key does not exist, which is a failure elsewhere"),
        Asked::Blind(_) => return look.blinded(key),
    };
    let (spec, origin) = (text(field(metadata, "KeySpec")), text(field(metadata, "Origin")));
    if !matches!(spec, "SYMMETRIC_DEFAULT" | "") || !matches!(origin, "AWS_KMS" | "") {
        return look
            .not_applicable(key, format!("{} keys of origin {} are not rotated by KMS", clean(spec), clean(origin)));
    }
    let arn = arn_of(metadata, key);
    let asked = look.body("kms:GetKeyRotationStatus", region_of(arn), &[("KeyId", arn)]);
    match asked.map(|body| boolean(field(body, "KeyRotationEnabled"))) {
        Some(Some(true)) => look.pass(key, "rotation is on"),
        Some(Some(false)) => {
            look.fail(key, "rotation is off").fix(format!("aws kms enable-key-rotation --key-id {}", shell(arn)))
        }
        Some(None) => {
            look.unreadable("kms:GetKeyRotationStatus", region_of(arn));
            look.blinded(key)
        }
        None => look.blinded(key),
    }
}

fn readers(look: &Look<'_>, key: &str) -> Verdict {
    let metadata = match described(look, key) {
        Asked::Body(metadata) => metadata,
        Asked::Absent(_) => return look.not_applicable(key, "the key does not exist, which is a failure elsewhere"),
        Asked::Blind(_) => return look.blinded(key),
    };
    let arn = arn_of(metadata, key);
    let Some(policy) = key_policy(look, arn) else { return look.blinded(key) };
    let account = match text(field(metadata, "AWSAccountId")) {
        "" => arn.split(':').nth(4).unwrap_or_default(),
        account => account,
    };
    let settings = look.settings_with_members();
    let home = Home { settings: &settings, account };
    let decrypting =
        Policy { statements: policy.allows().filter(|s| s.covers_action("kms:Decrypt")).cloned().collect() };
    let mut audience = decrypting.audience(Rules::General, &home);
    let granted = match look.body("kms:ListGrants", region_of(arn), &[("KeyId", arn)]) {
        Some(body) => list(field(body, "Grants")),
        None if audience.everyone.is_none() && audience.outsiders.is_empty() => return look.blinded(key),
        None => Vec::new(),
    };
    for grant in
        granted.into_iter().filter(|grant| list(field(grant, "Operations")).iter().any(|o| text(o) == "Decrypt"))
    {
        audience.add(&Audience::of(text(field(grant, "GranteePrincipal")), &home));
    }
    if let Some(everyone) = &audience.everyone {
        let said = said_list(everyone.reasons.iter().map(String::as_str));
        return look.fail(key, format!("everybody can decrypt: {said}")).severity(Severity::Critical);
    }
    if !audience.outsiders.is_empty() {
        return look.fail(key, format!("decrypted by {}", said_list(audience.outsiders.iter().map(String::as_str))));
    }
    let mut readers: BTreeSet<&str> = audience.insiders.iter().map(String::as_str).collect();
    readers.insert(account);
    look.pass(key, format!("decrypted by accounts of ours alone: {}", said_list(readers)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::Status;
    use crate::controls::testing::{Account, KEY, LOGGING, TRAIL, absent, assert_said, context, denied};
    use Status::{Fail, NotApplicable, Partial, Pass, Unknown};
    use serde_json::json;

    fn with(call: &str, member: &str, value: Value) -> Account {
        let mut account = Account::with_trail();
        account.set(call, member, value);
        account
    }

    fn policy(statements: impl Into<Value>) -> Account {
        let statements: Value = statements.into();
        with("kms:GetKeyPolicy", "Policy", json!({"Statement": statements}).to_string().into())
    }

    fn refused(call: &str) -> Account {
        let mut account = Account::with_trail();
        account.refuse_call(call, &denied());
        account
    }

    #[test]
    fn the_key_is_ours_and_alive() {
        let mut none = Account::with_trail();
        none.trail("KmsKeyId", Value::Null);
        let mut gone = Account::with_trail();
        gone.refuse_call("kms:DescribeKey", &absent("NotFoundException"));
        let root = json!({"Effect": "Allow", "Principal": {"AWS": LOGGING}, "Action": "kms:*", "Resource": "*"});
        let any = json!({"Effect": "Allow", "Principal": {"Service": "cloudtrail.amazonaws.com"},
            "Action": "kms:GenerateDataKey*", "Resource": "*"});
        let mut by_context = any.clone();
        by_context["Condition"] = json!({"StringLike": {"kms:EncryptionContext:aws:cloudtrail:arn":
            "arn:aws:cloudtrail:*:111122223333:trail/*"}});
        for (account, status, words) in [
            (Account::with_trail(), Pass, "is enabled"),
            (policy(json!([root, by_context])), Pass, "is enabled"),
            (none, Fail, "no key of ours"),
            (gone, Fail, "does not exist"),
            (with("kms:DescribeKey", "KeyMetadata/KeyState", "PendingDeletion".into()), Fail, "PendingDeletion"),
            (with("kms:DescribeKey", "KeyMetadata/KeyManager", "AWS".into()), Fail, "AWS's own"),
            (policy(json!([root])), Fail, "does not let CloudTrail"),
            (policy(json!([root, any])), Partial, "for any trail"),
            (with("kms:DescribeKey", "KeyMetadata/AWSAccountId", "111122223333".into()), Partial, "not in the logging"),
            (refused("kms:DescribeKey"), Unknown, "DescribeKey denied"),
            (refused("kms:GetKeyPolicy"), Unknown, "GetKeyPolicy denied"),
        ] {
            assert_said(&account, &context(), ("log-key-usable", status, words));
        }
        let dying = with("kms:DescribeKey", "KeyMetadata/KeyState", "PendingDeletion".into());
        let verdict = dying.only("log-key-usable", &context());
        assert_eq!((verdict.severity, verdict.resource.as_str()), (Severity::Critical, TRAIL));
        assert_eq!(verdict.remediation, format!("aws kms cancel-key-deletion --key-id {KEY}"));
    }

    #[test]
    fn the_key_is_rotated() {
        for (account, status, words) in [
            (Account::with_trail(), Pass, "on"),
            (with("kms:GetKeyRotationStatus", "KeyRotationEnabled", false.into()), Fail, "off"),
            (with("kms:DescribeKey", "KeyMetadata/Origin", "EXTERNAL".into()), NotApplicable, "EXTERNAL"),
            (with("kms:GetKeyRotationStatus", "KeyRotationEnabled", Value::Null), Unknown, "not known"),
            (refused("kms:GetKeyRotationStatus"), Unknown, "GetKeyRotationStatus denied"),
        ] {
            assert_said(&account, &context(), ("log-key-rotation", status, words));
        }
    }

    #[test]
    fn nobody_outside_decrypts() {
        let to = |principal: Value| {
            policy(json!([{"Effect": "Allow", "Principal": principal, "Action": "kms:*", "Resource": "*"}]))
        };
        let granted =
            |to: &str| with("kms:ListGrants", "Grants", json!([{"GranteePrincipal": to, "Operations": ["Decrypt"]}]));
        for (account, status, words) in [
            (Account::with_trail(), Pass, "999988887777"),
            (to(json!({"AWS": "111122223333"})), Pass, "111122223333"),
            (to(json!("*")), Fail, "everybody can decrypt"),
            (to(json!({"AWS": "arn:aws:iam::121212121212:root"})), Fail, "account 121212121212"),
            (granted("arn:aws:iam::121212121212:role/x"), Fail, "account 121212121212"),
            (granted("arn:aws:iam::111122223333:role/x"), Pass, "111122223333"),
            (refused("kms:ListGrants"), Unknown, "ListGrants denied"),
            (refused("kms:GetKeyPolicy"), Unknown, "GetKeyPolicy denied"),
        ] {
            assert_said(&account, &context(), ("log-key-readers", status, words));
        }
    }
}
