//! Someone tried to blind CloudTrail.

use crate::detection::{Case, Catch, Category, Deed, Detection, Severity, Want};

pub(super) const ALL: &[&Detection] = &[&TRAIL_STOPPED];

const CLOUDTRAIL: &str = "cloudtrail.amazonaws.com";

/// A trail is stopped or deleted. A denied attempt counts: AWS said no, the actor still tried.
static TRAIL_STOPPED: Detection = Detection {
    id: "cloudtrail-trail-stopped",
    title: "CloudTrail trail stopped or deleted",
    category: Category::TrailTampering,
    severity: Severity::Critical,
    techniques: &["T1562.008"],
    controls: &["CIS 7.0 5.5", "CIS 3.0 4.5"],
    wants: &[Want::Calls(CLOUDTRAIL, &["StopLogging", "DeleteTrail"])],
    check: stopped,
    why: "Who stops a trail wants the next calls unseen.",
    runbook: &["Call the actor, not by chat", "Look at what else the actor did", "Not them: disable the credentials"],
    lowerable: false,
    ..Detection::BASE
};

fn stopped(case: &Case<'_>) -> Option<Catch> {
    let trail = trail_name(case);
    let deed = match case.record.action() {
        "DeleteTrail" => Deed::new("delete", "deleted", format!("trail {trail}")),
        _ => Deed::new("stop", "stopped", format!("trail {trail}")),
    };
    Some(Catch::new(deed).resource(trail))
}

/// The trail's name; a refused call often says it in its error message alone.
fn trail_name<'c>(case: &'c Case<'_>) -> &'c str {
    let named = case.record.parameter("name");
    let arn = if named.is_empty() { case.record.arn_in_error().unwrap_or_default() } else { named };
    arn.rsplit('/').next().unwrap_or(arn)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Outcome;
    use crate::testing::{caught, record};
    use serde_json::json;

    #[test]
    fn an_attempt_counts_as_much_as_a_success() {
        let done = record(CLOUDTRAIL, "StopLogging", json!({"requestParameters": {"name": "org-trail"}}));
        let done = caught(&TRAIL_STOPPED, &done).expect("caught");
        assert_eq!((done.lead.severity, done.lead.outcome), (Severity::Critical, Outcome::Success));
        let denied = json!({
            "errorCode": "AccessDenied",
            "errorMessage": "User: arn:aws:iam::111122223333:user/alice is not authorized to perform: \
                cloudtrail:StopLogging on resource: arn:aws:cloudtrail:eu-west-1:111122223333:trail/org-trail \
                with an explicit deny in a service control policy",
        });
        let denied = caught(&TRAIL_STOPPED, &record(CLOUDTRAIL, "StopLogging", denied)).expect("caught");
        assert_eq!((denied.lead.severity, denied.lead.outcome), (Severity::Critical, Outcome::Denied));
        assert_eq!(denied.resources, ["org-trail"]);
    }

    #[test]
    fn other_calls_are_none_of_its_business() {
        assert!(caught(&TRAIL_STOPPED, &record(CLOUDTRAIL, "GetTrailStatus", json!({}))).is_none());
        assert!(caught(&TRAIL_STOPPED, &record("example.amazonaws.com", "StopLogging", json!({}))).is_none());
    }
}
