//! The trails that an account sees, and what they name.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use trail::snapshot::{Answer, Cause, Reply};

/// A trail, once over all regions that it is seen in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trail {
    pub(super) arn: String,
    pub(super) home_region: String,
    pub(super) bucket: String,
    /// What stands before `AWSLogs/` in the bucket, with a slash at its end; often nothing.
    pub(super) prefix: String,
    pub(super) key: Option<String>,
    pub(super) log_group: Option<String>,
    pub(super) of_organization: bool,
    /// Where its status is asked.
    pub(super) regions: BTreeSet<String>,
}

/// The account in an ARN.
pub(super) fn account_of(arn: &str) -> &str {
    arn.split(':').nth(4).unwrap_or_default()
}

/// The region in an ARN.
pub(super) fn region_of(arn: &str) -> &str {
    arn.split(':').nth(3).unwrap_or_default()
}

impl Trail {
    fn read(trail: &Value) -> Option<Self> {
        let text = |name: &str| trail[name].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let arn = text("TrailARN")?;
        Some(Self {
            home_region: text("HomeRegion").unwrap_or_else(|| region_of(&arn).to_owned()),
            bucket: text("S3BucketName").unwrap_or_default(),
            prefix: text("S3KeyPrefix").map(|prefix| format!("{prefix}/")).unwrap_or_default(),
            key: text("KmsKeyId"),
            log_group: text("CloudWatchLogsLogGroupArn"),
            of_organization: trail["IsOrganizationTrail"] == true,
            regions: BTreeSet::new(),
            arn,
        })
    }

    /// The trails in the answers to `DescribeTrails` of all regions: a trail that is seen in several counts once.
    ///
    /// A trail over all regions is also looked at where `DescribeTrails` itself was refused: its status can be known there.
    pub(super) fn of(answers: &[Answer]) -> Vec<Self> {
        let mut trails: BTreeMap<String, Self> = BTreeMap::new();
        let mut everywhere = BTreeSet::new();
        for answer in answers {
            let Reply::Body(body) = &answer.result else { continue };
            for seen in body["trailList"].as_array().into_iter().flatten() {
                let Some(trail) = Self::read(seen) else { continue };
                if seen["IsMultiRegionTrail"] == true {
                    everywhere.insert(trail.arn.clone());
                }
                trails.entry(trail.arn.clone()).or_insert(trail).regions.insert(answer.region.clone());
            }
        }
        let dark = |answer: &&Answer| matches!(&answer.result, Reply::Refusal(refused) if !matches!(refused.cause, Cause::Disabled | Cause::NoRole));
        let dark: Vec<_> = answers.iter().filter(dark).map(|answer| answer.region.clone()).collect();
        for arn in everywhere {
            trails.entry(arn).and_modify(|trail| trail.regions.extend(dark.iter().cloned()));
        }
        trails.into_values().collect()
    }
}
