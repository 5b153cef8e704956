//! The questions that are asked in an incident, ready to be asked.

use crate::address::{Address, Kind, Span};

/// A question as filters.
#[derive(Debug)]
pub(crate) struct Question {
    /// What is asked.
    pub(crate) asks: &'static str,
    /// The filters, `writes` among them: as an address has them.
    pub(crate) filters: &'static [(&'static str, &'static str)],
    /// The filter that whoever asks fills in, and an example.
    pub(crate) needs: Option<(&'static str, &'static str)>,
}

const PERSISTENCE: &str = "CreateUser,CreateAccessKey,CreateLoginProfile,UpdateLoginProfile,UpdateAssumeRolePolicy,\
                           Attach*Policy,Put*Policy,AddUserToGroup,Create*Provider,CreateVirtualMFADevice,\
                           DeactivateMFADevice";

/// All of them.
pub(crate) static ALL: &[Question] = {
    const fn ask(asks: &'static str, filters: &'static [(&'static str, &'static str)]) -> Question {
        Question { asks, filters, needs: None }
    }
    const fn about(
        asks: &'static str,
        needs: (&'static str, &'static str),
        filters: &'static [(&'static str, &'static str)],
    ) -> Question {
        Question { asks, filters, needs: Some(needs) }
    }
    const RESOURCE: (&str, &str) = ("resource", "i-0abc…, ARN or name");
    const USER: (&str, &str) = ("user", "name, role or ARN");
    const KEY: (&str, &str) = ("access-key", "AKIA… or ASIA…");
    const ALL_KINDS: (&str, &str) = ("writes", "all");
    &[
        about("Who created this?", RESOURCE, &[("action", "Create*,Run*,Put*,Allocate*,Register*")]),
        about("Who deleted this?", RESOURCE, &[("action", "Terminate*,Delete*,Remove*,Deregister*")]),
        about("What became of this resource?", RESOURCE, &[]),
        about("What did this user do?", USER, &[ALL_KINDS]),
        about("What did this key do?", KEY, &[ALL_KINDS]),
        about("Which roles did this key assume?", KEY, &[("action", "AssumeRole*"), ALL_KINDS]),
        about("Who is behind this session?", ("issued-key", "ASIA…"), &[ALL_KINDS]),
        about("What came from this address?", ("ip", "203.0.113.0/24"), &[ALL_KINDS]),
        about("From where does this user come?", USER, &[("services", "no"), ALL_KINDS]),
        ask("What did root do?", &[("root", "yes"), ALL_KINDS]),
        ask("Who signed in without MFA?", &[("action", "ConsoleLogin"), ("mfa", "no"), ALL_KINDS]),
        ask("Who made a way to come back?", &[("service", "iam"), ("action", PERSISTENCE)]),
        ask(
            "Who gained rights?",
            &[("service", "iam"), ("action", "*Policy*,AddUserToGroup,AddRoleToInstanceProfile")],
        ),
        ask(
            "Was the logging touched?",
            &[(
                "action",
                "StopLogging,DeleteTrail,UpdateTrail,PutEventSelectors,DeleteFlowLogs,DeleteDetector,UpdateDetector,\
                 PutBucketLifecycle*",
            )],
        ),
        ask(
            "What was opened to the internet?",
            &[
                ("action", "AuthorizeSecurityGroup*,ModifySecurityGroupRules,CreateNetworkAclEntry"),
                ("text", "0.0.0.0/0,::/0"),
            ],
        ),
        about("What changed in this security group?", ("resource", "sg-…"), &[]),
        ask(
            "Was a bucket made public?",
            &[("service", "s3,s3-control"), ("action", "PutBucketPolicy,PutBucketAcl,*PublicAccessBlock,PutObjectAcl")],
        ),
        ask(
            "Was a snapshot or image shared?",
            &[("action", "Modify*SnapshotAttribute,ModifyImageAttribute,ModifyDB*SnapshotAttribute")],
        ),
        about("Which objects did this user read?", USER, &[("category", "Data"), ("service", "s3"), ALL_KINDS]),
        ask("Were secrets read?", &[("action", "GetSecretValue,GetParameter*,Decrypt"), ("services", "no"), ALL_KINDS]),
        ask("Who was refused?", &[("error", "AccessDenied*,*Unauthorized*"), ALL_KINDS]),
        ask("What did people change?", &[("services", "no")]),
        ask("What was changed by hand in the console?", &[("console", "yes")]),
        ask("Who came from another account?", &[("cross-account", "yes"), ("services", "no"), ALL_KINDS]),
        ask(
            "Was something costly begun?",
            &[("action", "RunInstances,InvokeModel*,SendEmail,CreateCluster,RequestSpot*")],
        ),
    ]
};

impl Question {
    /// The address that asks it, for a span.
    pub(crate) fn href(&self, span: &Span) -> String {
        let own = self.filters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Address { span: span.clone(), ..Address::of(own) }.href()
    }

    /// Its filters and the span, for a form that adds what it needs.
    pub(crate) fn kept(&self, span: &Span) -> Vec<(String, String)> {
        let kind = Kind::Writes;
        let mut pairs = Address { span: span.clone(), kind, ..Address::default() }.pairs();
        pairs.extend(self.filters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        pairs
    }

    /// The address that asks it of something.
    #[cfg(test)]
    fn asked_of(&self, value: &str) -> String {
        let mut pairs = self.kept(&Span::Last(0));
        pairs.extend(self.needs.map(|(name, _)| (name.to_owned(), value.to_owned())));
        crate::address::href("/records", &pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_question_can_be_asked() {
        assert_eq!(ALL.len(), 25);
        for question in ALL {
            let uri: axum::http::Uri = question.asked_of("i-0abcdef1234567890").parse().expect(question.asks);
            let pairs = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&uri).expect("pairs").0;
            Address::of(pairs).query((None, None)).expect(question.asks);
        }
    }
}
