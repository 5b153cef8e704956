//! The questions that are asked in an incident, ready to be asked.

use crate::address::{Address, Span};

/// A question: filters that stand, and those that whoever asks fills in.
#[derive(Debug)]
pub(crate) struct Question {
    /// The question.
    pub(crate) title: &'static str,
    /// What stands: filter and value.
    pub(crate) filters: &'static [(&'static str, &'static str)],
    /// What is filled in: filter, and what it is called here.
    pub(crate) asks: &'static [(&'static str, &'static str)],
}

const PERSISTENCE: &str = "CreateUser,CreateAccessKey,CreateLoginProfile,UpdateLoginProfile,UpdateAssumeRolePolicy,\
                           Attach*Policy,Put*Policy,AddUserToGroup,Create*Provider,CreateVirtualMFADevice,\
                           DeactivateMFADevice";

/// All of them.
pub(crate) static ALL: &[Question] = {
    const fn ask(title: &'static str, filters: &'static [(&'static str, &'static str)]) -> Question {
        Question { title, filters, asks: &[] }
    }
    const fn about(
        title: &'static str,
        asks: &'static [(&'static str, &'static str)],
        filters: &'static [(&'static str, &'static str)],
    ) -> Question {
        Question { title, filters, asks }
    }
    const RESOURCE: &[(&str, &str)] = &[("resource", "i-0abc…, ARN or name")];
    const USER: &[(&str, &str)] = &[("user", "name, role or ARN")];
    const KEY: &[(&str, &str)] = &[("access-key", "AKIA… or ASIA…")];
    const WRITES: (&str, &str) = ("writes", "yes");
    &[
        about("Who created this?", RESOURCE, &[("action", "Create*,Run*,Put*,Allocate*,Register*"), WRITES]),
        about("Who deleted this?", RESOURCE, &[("action", "Terminate*,Delete*,Remove*,Deregister*"), WRITES]),
        about("What became of this resource?", RESOURCE, &[WRITES]),
        about("What did this user do?", USER, &[]),
        about("What did this key do?", KEY, &[]),
        about("Which roles did this key assume?", KEY, &[("action", "AssumeRole*")]),
        about("Who is behind this session?", &[("issued-key", "ASIA…")], &[]),
        about("What came from this address?", &[("ip", "203.0.113.0/24")], &[]),
        about("From where does this user come?", USER, &[("services", "no")]),
        ask("What did root do?", &[("root", "yes")]),
        ask("Who signed in without MFA?", &[("action", "ConsoleLogin"), ("mfa", "no")]),
        ask("Who made a way to come back?", &[("service", "iam"), ("action", PERSISTENCE), WRITES]),
        ask(
            "Who gained rights?",
            &[("service", "iam"), ("action", "*Policy*,AddUserToGroup,AddRoleToInstanceProfile"), WRITES],
        ),
        ask(
            "Was the logging touched?",
            &[
                (
                    "action",
                    "StopLogging,DeleteTrail,UpdateTrail,PutEventSelectors,DeleteFlowLogs,DeleteDetector,UpdateDetector,\
                 PutBucketLifecycle*",
                ),
                WRITES,
            ],
        ),
        ask(
            "What was opened to the internet?",
            &[
                ("action", "AuthorizeSecurityGroup*,ModifySecurityGroupRules,CreateNetworkAclEntry"),
                ("text", "0.0.0.0/0,::/0"),
                WRITES,
            ],
        ),
        about("What changed in this security group?", &[("resource", "sg-…")], &[WRITES]),
        ask(
            "Was a bucket made public?",
            &[
                ("service", "s3,s3-control"),
                ("action", "PutBucketPolicy,PutBucketAcl,*PublicAccessBlock,PutObjectAcl"),
                WRITES,
            ],
        ),
        ask(
            "Was a snapshot or image shared?",
            &[("action", "Modify*SnapshotAttribute,ModifyImageAttribute,ModifyDB*SnapshotAttribute"), WRITES],
        ),
        about("Which objects did this user read?", USER, &[("category", "Data"), ("service", "s3")]),
        ask("Were secrets read?", &[("action", "GetSecretValue,GetParameter*,Decrypt"), ("services", "no")]),
        ask("Who was refused?", &[("error", "AccessDenied*,*Unauthorized*")]),
        ask("What did people change?", &[("services", "no"), WRITES]),
        ask("What was changed by hand in the console?", &[("console", "yes"), WRITES]),
        ask("Who came from another account?", &[("cross-account", "yes"), ("services", "no")]),
        ask(
            "Was something costly begun?",
            &[("action", "RunInstances,InvokeModel*,SendEmail,CreateCluster,RequestSpot*"), WRITES],
        ),
    ]
};

/// The address that asks a question, for a span.
pub(crate) fn href(question: &Question, span: &Span) -> String {
    Address { span: span.clone(), ..Address::of(pairs(question)) }.href()
}

/// What stands of it and the span, for a form that adds what is filled in.
pub(crate) fn kept(question: &Question, span: &Span) -> Vec<(String, String)> {
    Address { span: span.clone(), ..Address::of(pairs(question)) }.pairs()
}

/// Both what writes and what reads, where it says nothing of it.
fn pairs(question: &Question) -> impl Iterator<Item = (String, String)> {
    let all = question.filters.iter().all(|(name, _)| *name != "writes").then_some(("writes", "all"));
    let filters = question.filters.iter().copied().chain(all);
    filters.map(|(name, value)| (name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_question_can_be_asked() {
        assert_eq!(ALL.len(), 25);
        for question in ALL {
            let mut pairs = kept(question, &Span::Last(3));
            pairs.extend(question.asks.iter().map(|(name, _)| ((*name).to_owned(), "10.0.0.1".to_owned())));
            Address::of(pairs).query((None, None)).expect(question.title);
        }
        let by_key = ALL.iter().find(|question| question.title.contains("this key do")).expect("a question");
        assert_eq!(href(by_key, &Span::Last(4)), "/records?t=7d&writes=all");
    }
}
