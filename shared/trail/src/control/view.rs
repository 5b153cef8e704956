//! A snapshot with the trails that are in it, ready to be judged.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Blind, Context, Control, Verdict, permission};
use crate::shape::{boolean, field, list, text};
use crate::snapshot::{Answer, Cause, Refusal, Reply, Snapshot, SnapshotError};

/// A snapshot and what is known besides.
#[derive(Debug)]
pub struct View<'s> {
    pub(crate) snapshot: &'s Snapshot,
    pub(crate) context: &'s Context,
    trails: Vec<Trail<'s>>,
    regions: BTreeSet<&'s str>,
}

/// A trail, once over all regions that it is seen in.
#[derive(Debug, Clone)]
pub struct Trail<'s> {
    /// Its ARN.
    pub arn: &'s str,
    /// Its name.
    pub name: &'s str,
    /// Where it was created.
    pub home_region: &'s str,
    /// The account it belongs to.
    pub owner: &'s str,
    /// The bucket it delivers to.
    pub bucket: &'s str,
    /// What stands before `AWSLogs/` in the bucket; often empty.
    pub prefix: &'s str,
    /// The key it encrypts with: an ARN, id or alias; empty for none.
    pub key: &'s str,
    /// The log group it delivers to, as an ARN; empty for none.
    pub log_group: &'s str,
    /// The topic that it tells of each log file, as an ARN; empty for none.
    pub topic: &'s str,
    /// `IsMultiRegionTrail`.
    pub multi_region: bool,
    /// `IsOrganizationTrail`.
    pub organization: bool,
    /// `IncludeGlobalServiceEvents`; `None` where the answer does not say.
    pub global_events: Option<bool>,
    /// `LogFileValidationEnabled`; `None` where the answer does not say.
    pub validation: Option<bool>,
    /// `HasCustomEventSelectors`.
    pub custom_selectors: Option<bool>,
    /// The regions whose answers show it.
    pub seen_in: BTreeSet<&'s str>,
}

/// What came of a question.
#[derive(Debug, Clone)]
pub enum Asked<'s> {
    /// An answer.
    Body(&'s Value),
    /// The answer is that it is not there.
    Absent(&'s Refusal),
    /// No answer.
    Blind(Blind),
}

impl<'s> View<'s> {
    /// Prepares a snapshot. One of another version is an error, whatever it holds.
    pub fn new(snapshot: &'s Snapshot, context: &'s Context) -> Result<Self, SnapshotError> {
        snapshot.check()?;
        let trails = trails(snapshot);
        Ok(Self { snapshot, context, trails, regions: regions(snapshot) })
    }

    /// What all controls say.
    pub fn judge(&self) -> Vec<Verdict> {
        crate::controls::all().iter().flat_map(|control| control.judge(self)).collect()
    }

    /// What those controls say that want no other calls than these: for a snapshot of a part, in which what was left out
    /// is no refusal.
    pub fn judge_by(&self, calls: &[&str]) -> Vec<Verdict> {
        let told = |control: &&&'static Control| {
            !control.calls.is_empty() && control.calls.iter().all(|call| calls.contains(call))
        };
        crate::controls::all().iter().filter(told).flat_map(|control| control.judge(self)).collect()
    }

    /// All trails that the account sees, its own and its organization's.
    pub fn trails(&self) -> &[Trail<'s>] {
        &self.trails
    }

    /// The regions that are enabled; where nobody could tell, those that were asked.
    pub fn regions(&self) -> &BTreeSet<&'s str> {
        &self.regions
    }

    /// The answer to a question, and where it stands in the snapshot.
    pub(crate) fn ask(&self, call: &str, region: &str, parameters: &[(&str, &str)]) -> (Option<usize>, Asked<'s>) {
        let fits = |answer: &Answer| {
            answer.call == call
                && (region.is_empty() || answer.region == region)
                && parameters.iter().all(|(name, value)| answer.is_about(name, value))
        };
        match self.snapshot.answers.iter().position(fits) {
            None => (None, Asked::Blind(blind(call, region, None))),
            Some(index) => (Some(index), asked(&self.snapshot.answers[index])),
        }
    }
}

/// What an answer amounts to. A body that is no object is none.
pub(crate) fn asked(answer: &Answer) -> Asked<'_> {
    match &answer.result {
        Reply::Body(body) if body.is_object() => Asked::Body(body),
        Reply::Refusal(refusal) if refusal.cause == Cause::Absent => Asked::Absent(refusal),
        Reply::Body(_) | Reply::Refusal(_) => Asked::Blind(blind(&answer.call, &answer.region, Some(answer))),
    }
}

/// A question without an answer.
pub(crate) fn blind(call: &str, region: &str, answer: Option<&Answer>) -> Blind {
    let refusal = answer.and_then(|answer| match &answer.result {
        Reply::Refusal(refusal) => Some(refusal),
        Reply::Body(_) => None,
    });
    Blind {
        call: call.to_owned(),
        account: answer.map_or(String::new(), |answer| answer.account.clone()),
        region: region.to_owned(),
        cause: answer.map(|_| refusal.map_or(Cause::Unknown, |refusal| refusal.cause)),
        code: refusal.map_or(String::new(), |refusal| refusal.code.clone()),
        permission: permission(call).unwrap_or_default().to_owned(),
    }
}

/// An account in an ARN.
pub(crate) fn account_of(arn: &str) -> &str {
    arn.split(':').nth(4).unwrap_or_default()
}

/// The region in an ARN.
pub(crate) fn region_of(arn: &str) -> &str {
    arn.split(':').nth(3).unwrap_or_default()
}

fn trails(snapshot: &Snapshot) -> Vec<Trail<'_>> {
    let mut trails: BTreeMap<&str, Trail<'_>> = BTreeMap::new();
    for answer in snapshot.answers.iter().filter(|answer| answer.call == "cloudtrail:DescribeTrails") {
        let Reply::Body(body) = &answer.result else { continue };
        for trail in list(field(body, "trailList")).into_iter().filter_map(Trail::read) {
            trails.entry(trail.arn).or_insert(trail).seen_in.insert(answer.region.as_str());
        }
    }
    trails.into_values().collect()
}

impl<'s> Trail<'s> {
    /// Reads an element of `trailList`. Without an ARN it cannot be told from others.
    fn read(value: &'s Value) -> Option<Self> {
        let said = |name| text(field(value, name));
        let arn = Some(said("TrailARN")).filter(|arn| !arn.is_empty())?;
        let or = |text: &'s str, otherwise: &'s str| if text.is_empty() { otherwise } else { text };
        Some(Self {
            arn,
            name: or(said("Name"), arn.rsplit('/').next().unwrap_or(arn)),
            home_region: or(said("HomeRegion"), region_of(arn)),
            owner: account_of(arn),
            bucket: said("S3BucketName"),
            prefix: said("S3KeyPrefix"),
            key: said("KmsKeyId"),
            log_group: said("CloudWatchLogsLogGroupArn"),
            topic: said("SnsTopicARN"),
            multi_region: boolean(field(value, "IsMultiRegionTrail")) == Some(true),
            organization: boolean(field(value, "IsOrganizationTrail")) == Some(true),
            global_events: boolean(field(value, "IncludeGlobalServiceEvents")),
            validation: boolean(field(value, "LogFileValidationEnabled")),
            custom_selectors: boolean(field(value, "HasCustomEventSelectors")),
            seen_in: BTreeSet::new(),
        })
    }

    /// Whether it is meant to record a region.
    pub fn covers(&self, region: &str) -> bool {
        self.multi_region || self.home_region == region
    }
}

/// The enabled regions: as the account lists them, or else those where trails were asked for. A region in which the
/// account turned out not to be enabled is none.
fn regions(snapshot: &Snapshot) -> BTreeSet<&str> {
    let listed = snapshot.answers.iter().find(|answer| answer.call == "account:ListRegions").and_then(enabled);
    let asked = snapshot.answers.iter().filter(|answer| answer.call == "cloudtrail:DescribeTrails");
    let off = |answer: &&Answer| matches!(&answer.result, Reply::Refusal(refusal) if refusal.cause == Cause::Disabled);
    let disabled: BTreeSet<&str> = asked.clone().filter(off).map(|answer| answer.region.as_str()).collect();
    let mut regions = listed.unwrap_or_else(|| asked.map(|answer| answer.region.as_str()).collect());
    regions.retain(|region| !disabled.contains(region));
    regions
}

fn enabled(answer: &Answer) -> Option<BTreeSet<&str>> {
    let Reply::Body(body) = &answer.result else { return None };
    let regions = field(body, "Regions");
    let on = |region: &&Value| {
        matches!(text(field(region, "RegionOptStatus")), "ENABLED" | "ENABLED_BY_DEFAULT" | "DISABLING")
    };
    let names = list(regions).into_iter().filter(on).map(|region| text(field(region, "RegionName")));
    regions.is_array().then(|| names.filter(|name| !name.is_empty()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controls::testing::{Account, context};

    #[test]
    fn of_a_part_nothing_is_said_that_was_not_asked() {
        let mut part = Account::with_trail();
        let kept = ["account:ListRegions", "cloudtrail:DescribeTrails", "cloudtrail:GetTrailStatus"];
        part.calls().iter().filter(|call| !kept.contains(&call.as_str())).for_each(|call| part.forget(call));
        let (snapshot, context) = (part.snapshot(), context());
        let verdicts = View::new(&snapshot, &context).expect("a view").judge_by(&kept);
        let ids: BTreeSet<&str> = verdicts.iter().map(|verdict| verdict.control_id.as_str()).collect();
        assert!(ids.contains("trail-delivery-healthy") && ids.contains("log-file-validation"), "{ids:?}");
        assert!(verdicts.iter().all(|verdict| !verdict.status.is_blind()), "{verdicts:?}");
    }
}
