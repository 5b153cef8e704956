//! What an auditor asks for and which files of a pack answer it.
//!
//! Pure and declarative: a [`Criterion`] and an [`Item`] are values, and coverage, the report and the manifest are
//! derived from them. Nothing here says that a criterion is met: that is the auditor's to say.

use serde_json::Value;

mod review;
mod rules;

pub use review::{
    Exception, exceptions, joiners_and_leavers, log, overdue, proofs, receipts, standing, strangers, subjects,
};
pub use rules::{expired, rules};

/// A row of a file: a value for each of its columns.
pub type Row = Vec<Value>;

/// A criterion of the Trust Services Criteria (AICPA, 2017, with the points of focus of 2022).
#[derive(Debug)]
pub struct Criterion {
    /// `CC6.1`.
    pub id: &'static str,
    /// What it is about, in our own words.
    pub asks: &'static str,
    /// The files that speak to it.
    pub items: &'static [&'static str],
    /// What this evidence does not cover. Where it says `not sufficient`, it is related data alone.
    pub limits: &'static str,
}

impl Criterion {
    /// Whether the files are related to it and no more.
    pub fn is_related_only(&self) -> bool {
        self.limits.starts_with("not sufficient")
    }
}

/// A file of a pack: a table, as CSV and as JSON lines.
#[derive(Debug)]
pub struct Item {
    /// Its name in the pack, without ending.
    pub name: &'static str,
    /// What a row is.
    pub title: &'static str,
    /// Where it comes from.
    pub source: &'static str,
    /// What is asked there.
    pub query: &'static str,
    /// How to ask again.
    pub again: &'static str,
    /// Its columns.
    pub columns: &'static [&'static str],
    /// Those that a person reads in the report.
    pub shown: &'static [&'static str],
    /// How the report shows them.
    pub layout: Layout,
    /// Columns whose values are counted for the report.
    pub counted: &'static [&'static str],
    /// What a reader has to know of it.
    pub note: &'static str,
}

/// How the report shows a file. All of it stands in the file itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// A row a line.
    Table,
    /// The rows that need attention: those whose first counted column has none of these values.
    Notable(&'static [&'static str]),
    /// A row a card: a name and a value a line.
    Cards,
    /// Counts alone.
    Counts,
}

impl Item {
    /// What the items below do not say otherwise.
    const BASE: Self = Self {
        name: "",
        title: "",
        source: "",
        query: "",
        again: "",
        columns: &[],
        shown: &[],
        layout: Layout::Table,
        counted: &[],
        note: "",
    };

    /// A file that is no table.
    pub const fn whole(source: &'static str) -> Self {
        Self { source, ..Self::BASE }
    }
}

/// The criteria, in their order.
pub const CRITERIA: &[Criterion] = &[
    Criterion {
        id: "CC6.1",
        asks: "Logical access is restricted: who has access, with which privileges and second factors, and how the \
               recording of access is set up",
        items: &["controls", "review-subjects", "findings"],
        limits: "AWS accounts alone; not the applications in them, nor networks and devices",
    },
    Criterion {
        id: "CC6.2",
        asks: "Access is given after approval and removed when it is no longer needed",
        items: &["joiners-and-leavers", "access-calls", "revocations", "exceptions"],
        limits: "an approval is evidenced where a ticket is named; the ticket itself lies elsewhere",
    },
    Criterion {
        id: "CC6.3",
        asks: "Access follows roles and least privilege, and is reviewed",
        items: &[
            "reviews",
            "review-subjects",
            "review-receipts",
            "review-unknown",
            "review-log",
            "revocations",
            "exceptions",
        ],
        limits: "whether a role needs what it has is the reviewer's judgement, not this system's",
    },
    Criterion {
        id: "CC6.6",
        asks: "What is open to the outside is restricted and watched",
        items: &["findings", "findings-history", "rules"],
        limits: "changes that open something, as CloudTrail records them; not the state of what was open before",
    },
    Criterion {
        id: "CC7.1",
        asks: "Changes to configurations that open weaknesses are detected",
        items: &["controls", "rules", "findings"],
        limits: "trail settings and recorded changes; not the vulnerabilities of software",
    },
    Criterion {
        id: "CC7.2",
        asks: "Systems are monitored for anomalies, and the monitoring works",
        items: &["rules", "canaries", "digests", "log-files", "findings"],
        limits: "what CloudTrail records; not logs of machines, networks and applications",
    },
    Criterion {
        id: "CC7.3",
        asks: "Security events are evaluated",
        items: &["findings", "findings-history", "exceptions"],
        limits: "what was decided here; work in other ticket systems is not seen",
    },
    Criterion {
        id: "CC7.4",
        asks: "Security incidents are responded to",
        items: &["findings", "findings-history"],
        limits: "not sufficient: related data alone. How an incident was contained, and what was learnt, is not recorded here",
    },
    Criterion {
        id: "CC8.1",
        asks: "Changes are authorized, tested and approved",
        items: &["controls", "access-calls"],
        limits: "not sufficient: related data alone. Approvals and tests of changes are not recorded here",
    },
];

/// The files, in the order in which they lie in a pack.
pub const ITEMS: &[Item] = &[
    Item {
        name: "controls",
        title: "What controls said of trail settings: how they stood at the beginning, and every change since",
        source: "DynamoDB, AH#<account>: the append-only history of verdicts",
        query: "all accounts that are audited; lines of the period, and of each control and resource the last line before it",
        again: "qtrail pack --from … --to …; a verdict by itself: qtrail audit --snapshot <the line's snapshot>",
        columns: &[
            "at",
            "account",
            "region",
            "control",
            "title",
            "references",
            "resource",
            "before",
            "status",
            "severity",
            "reason",
            "snapshot",
        ],
        shown: &["at", "account", "control", "resource", "before", "status", "reason"],
        layout: Layout::Notable(&["PASS", "NOT_APPLICABLE"]),
        counted: &["status"],
        note: "The report shows what neither passes nor is not applicable.",
    },
    Item {
        name: "digests",
        title: "Digests that were verified against AWS's signatures, by day, account and region",
        source: "DynamoDB, CHAINS#<account> and D#<chain>: what the verifying function found",
        query: "all chains of all accounts heard; digests whose window ends in the period",
        again: "qtrail verify --keys keys.json --from … --to … s3://<log bucket>",
        columns: &["day", "account", "region", "chain", "digests", "log_files_signed", "problems", "last_verified"],
        shown: &["day", "account", "region", "digests", "log_files_signed", "problems"],
        counted: &["problems"],
        note: "AWS signs a digest each hour. A day with a problem has log files that are not as AWS signed them; what became of it stands among the findings.",
        ..Item::BASE
    },
    Item {
        name: "log-files",
        title: "Log files and records that were read, against those that AWS signed, by day and account",
        source: "DynamoDB, C#<date>#<account> (counted by ingest) and D#<chain> (signed by AWS)",
        query: "all accounts heard; days of the period with anything. A digest's files count on the day that its window begins",
        again: "qtrail verify as above; qtrail ingest on a copy of the bucket counts anew",
        columns: &[
            "day",
            "account",
            "files_read",
            "files_signed",
            "records",
            "evaluated",
            "other_kinds",
            "quarantined",
            "adds_up",
        ],
        shown: &["day", "account", "files_read", "files_signed", "records", "quarantined", "adds_up"],
        note: "A day on which nothing was read and nothing was signed has no row, and is a gap.",
        ..Item::BASE
    },
    Item {
        name: "rules",
        title: "Everything that is looked for, in records and in trail settings",
        source: "this program: the set of detections and controls of its version",
        query: "all",
        again: "qtrail detections",
        columns: &[
            "kind",
            "id",
            "title",
            "category",
            "severity",
            "techniques",
            "references",
            "may_be_lowered",
            "version",
        ],
        shown: &["kind", "id", "title", "severity", "references"],
        layout: Layout::Counts,
        counted: &["kind", "severity"],
        ..Item::BASE
    },
    Item {
        name: "canaries",
        title: "Synthetic log files that were sent through ingest, and found: the monitoring worked",
        source: "DynamoDB, findings of the detection pipeline-canary",
        query: "first seen in the period",
        again: "qtrail findings --days … (severity INFORMATIONAL)",
        columns: &["finding_id", "account", "first_seen", "last_seen", "canaries"],
        shown: &["first_seen", "last_seen", "canaries"],
        ..Item::BASE
    },
    Item {
        name: "findings",
        title: "Findings with what became of them and how long that took",
        source: "DynamoDB, index feed: findings by first sight; their history under F#<finding>/H#",
        query: "first seen in the period, canaries aside",
        again: "qtrail findings --days … --format ndjson",
        columns: &[
            "finding_id",
            "detection",
            "title",
            "category",
            "severity",
            "outcome",
            "account",
            "actors",
            "source_ips",
            "resources",
            "records",
            "saturated",
            "first_seen",
            "last_seen",
            "status",
            "resolution",
            "first_alert",
            "first_looked_at",
            "closed",
            "seconds_to_first_look",
            "seconds_to_close",
            "lowered_by",
        ],
        shown: &[
            "first_seen",
            "severity",
            "title",
            "account",
            "actors",
            "status",
            "resolution",
            "seconds_to_first_look",
        ],
        counted: &["severity", "status"],
        ..Item::BASE
    },
    Item {
        name: "findings-history",
        title: "Every line of the findings' histories: alerts, status changes with who and why",
        source: "DynamoDB, F#<finding>/H#<time>: append-only",
        query: "of the findings in findings.csv",
        again: "qtrail findings show <id>",
        columns: &["finding_id", "at", "what", "who", "note", "detections_version"],
        shown: &["finding_id", "at", "what", "who", "note"],
        ..Item::BASE
    },
    Item {
        name: "reviews",
        title: "Access reviews whose period meets this one",
        source: "DynamoDB, REVIEWS, R#<review>; population.json.gz in the data bucket",
        query: "all whose period overlaps",
        again: "qtrail review",
        columns: &[
            "review",
            "from",
            "to",
            "opened",
            "due",
            "accounts",
            "left_out",
            "subjects",
            "kept",
            "modified",
            "revoked",
            "undecided",
            "active_and_unknown",
            "partial",
            "signed_off",
            "signed_by",
            "signer_proven",
            "statement",
            "people_sha256",
            "population_sha256",
        ],
        shown: &[
            "review",
            "from",
            "to",
            "opened",
            "due",
            "signed_off",
            "signed_by",
            "signer_proven",
            "statement",
            "accounts",
            "left_out",
            "subjects",
            "kept",
            "modified",
            "revoked",
            "undecided",
            "active_and_unknown",
            "partial",
            "people_sha256",
            "population_sha256",
        ],
        layout: Layout::Cards,
        ..Item::BASE
    },
    Item {
        name: "review-subjects",
        title: "Who had access, what they used of it, and what was decided",
        source: "the population of each review, and its log",
        query: "all subjects by number",
        again: "qtrail review; an auditor samples by number",
        columns: &[
            "review",
            "number",
            "id",
            "kind",
            "account",
            "name",
            "person",
            "person_active",
            "manager",
            "privileged",
            "privileged_by",
            "grants",
            "mfa",
            "created",
            "created_by",
            "last_used",
            "records",
            "last_record",
            "services",
            "sample_records",
            "reviewer",
            "joined_after",
            "decision",
            "decided_by",
            "decided_as",
            "decided_at",
            "justification",
            "ticket",
        ],
        shown: &[
            "number",
            "account",
            "kind",
            "name",
            "person_active",
            "privileged",
            "records",
            "decision",
            "decided_by",
            "justification",
            "ticket",
        ],
        counted: &["decision", "kind"],
        note: "Numbers are given once: a sample can be drawn by number. Records are how often CloudTrail saw the subject in the period that is reviewed.",
        ..Item::BASE
    },
    Item {
        name: "review-receipts",
        title: "What AWS was asked for each review, with the receipt of each answer",
        source: "the population of each review: AWS's answers as they came, in access/<time>/ of the data bucket",
        query: "all questions",
        again: "qtrail review snapshot asks anew; aws cloudtrail lookup-events finds a request by its id, for 90 days",
        columns: &[
            "review",
            "account",
            "region",
            "call",
            "parameters",
            "time",
            "request_ids",
            "rows",
            "sha256",
            "refusal",
        ],
        shown: &["account", "call", "time", "rows", "refusal"],
        layout: Layout::Counts,
        counted: &["account", "refusal"],
        note: "That the subjects are all there are rests on these answers: their requests can be looked up by id, and \
               their hashes compared with what lies in access/.",
    },
    Item {
        name: "review-unknown",
        title: "Who was active in the period that is reviewed and had no access any more, or none that was seen",
        source: "the population of each review: the lake's records against its subjects",
        query: "all actors that are no subject; roles that only services take are known by the account",
        again: "qtrail search --user <actor> --from … --to …",
        columns: &["review", "kind", "actor", "session", "records", "first", "last", "services", "sample_records"],
        shown: &["actor", "session", "records", "first", "last", "services"],
        ..Item::BASE
    },
    Item {
        name: "review-log",
        title: "All that happened to each review, in order; each line's hash covers the line before",
        source: "DynamoDB, R#<review>/E#<number>: append-only",
        query: "all entries",
        again: "qtrail review",
        columns: &["review", "number", "at", "by", "arn", "proven", "address", "act", "subject", "entry", "sha256"],
        shown: &["review", "number", "at", "by", "proven", "act", "subject"],
        counted: &["act", "proven"],
        note: "By what it is known who it was: signed, by AWS's STS; token, by that of an identity provider, which API Gateway checked; local, the word of one machine; recorded, a demonstration. The last two prove nothing.",
        ..Item::BASE
    },
    Item {
        name: "revocations",
        title: "What carried out each decision to revoke or modify, as records prove it",
        source: "the log of each review: records that ingest matched, and later snapshots",
        query: "entries carried, absent and reappeared; decisions without any",
        again: "qtrail search --filter id=<record>",
        columns: &[
            "review",
            "subject",
            "decision",
            "decided_at",
            "what",
            "effect",
            "at",
            "record_account",
            "record_id",
            "actor",
            "seconds_after_decision",
        ],
        shown: &["subject", "decision", "decided_at", "what", "effect", "at", "record_id", "actor"],
        counted: &["what"],
        ..Item::BASE
    },
    Item {
        name: "joiners-and-leavers",
        title: "People and access that came or went in the period",
        source: "the population of each review: the people's list, when access was created, what joined later",
        query: "people who started or ended, subjects created or joined in the period",
        again: "qtrail review; people.csv",
        columns: &["what", "when", "account", "subject", "person", "by", "record", "note"],
        shown: &["what", "when", "account", "subject", "person", "by", "note"],
        counted: &["what"],
        ..Item::BASE
    },
    Item {
        name: "access-calls",
        title: "Calls that give or take access, as CloudTrail recorded them",
        source: "the lake: records",
        query: ACCESS_ACTIONS,
        again: "qtrail search --action <the list> --from … --to … --format csv, newest first",
        columns: &[
            "time",
            "account",
            "region",
            "action",
            "actor",
            "actor_arn",
            "source_ip",
            "resources",
            "error",
            "record",
        ],
        shown: &["time", "account", "action", "actor", "resources", "error"],
        counted: &["action"],
        ..Item::BASE
    },
    Item {
        name: "exceptions",
        title: "What is late, missed, partial, decided by oneself, excepted or expired",
        source: "the reviews, the findings and config.toml",
        query: "all of them in the period",
        again: "qtrail pack --from … --to …",
        columns: &["kind", "about", "since", "who", "detail"],
        shown: &["kind", "about", "since", "who", "detail"],
        counted: &["kind"],
        ..Item::BASE
    },
];

/// Actions that give or take access, as `qtrail search --action` takes them.
pub const ACCESS_ACTIONS: &str = "\
    CreateUser,DeleteUser,CreateLoginProfile,DeleteLoginProfile,CreateAccessKey,UpdateAccessKey,\
    DeleteAccessKey,AddUserToGroup,RemoveUserFromGroup,AttachUserPolicy,DetachUserPolicy,PutUserPolicy,\
    DeleteUserPolicy,AttachGroupPolicy,DetachGroupPolicy,PutGroupPolicy,DeleteGroupPolicy,CreateRole,\
    DeleteRole,AttachRolePolicy,DetachRolePolicy,PutRolePolicy,DeleteRolePolicy,UpdateAssumeRolePolicy,\
    CreateAccountAssignment,DeleteAccountAssignment,CreateGroupMembership,DeleteGroupMembership,\
    AddMemberToGroup,RemoveMemberFromGroup,CreateSAMLProvider,DeleteSAMLProvider,CreateOpenIDConnectProvider,\
    DeleteOpenIDConnectProvider,DeactivateMFADevice,EnableMFADevice";

/// The item of that name.
pub fn item(name: &str) -> Option<&'static Item> {
    ITEMS.iter().find(|item| item.name == name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_criterion_names_files_that_there_are_and_every_file_has_one() {
        let named: BTreeSet<&str> = CRITERIA.iter().flat_map(|criterion| criterion.items).copied().collect();
        let there: BTreeSet<&str> = ITEMS.iter().map(|item| item.name).collect();
        assert_eq!(named, there);
        assert_eq!(there.len(), ITEMS.len(), "a name is there twice");
        for item in ITEMS {
            assert!(item.shown.iter().all(|column| item.columns.contains(column)), "{}", item.name);
        }
    }

    #[test]
    fn nothing_says_that_a_criterion_is_met() {
        for criterion in CRITERIA {
            let said = format!("{} {}", criterion.asks, criterion.limits).to_lowercase();
            for word in ["complian", "is met", "satisfies", "fulfil"] {
                assert!(!said.contains(word), "{} says `{word}`", criterion.id);
            }
            assert!(!criterion.limits.is_empty(), "{} claims to cover everything", criterion.id);
        }
        let related: Vec<&str> = CRITERIA.iter().filter(|one| one.is_related_only()).map(|one| one.id).collect();
        assert_eq!(related, ["CC7.4", "CC8.1"]);
    }
}
