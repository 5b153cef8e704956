//! What a control says of one resource.

use serde::{Deserialize, Serialize};

use super::Control;
use crate::detection::Severity;
use crate::snapshot::{Answer, Cause};
use crate::time::Time;

/// How it stands. In order: of several, the last one is what they amount to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// There is nothing here that the control is about.
    NotApplicable,
    /// It is as it should be.
    Pass,
    /// Some of it is.
    Partial,
    /// Could not look: refused, or not asked.
    Unknown,
    /// Could not look: no answer, also after waiting.
    Error,
    /// It is not as it should be.
    Fail,
}

impl Status {
    /// What several amount to. Nothing at all amounts to [`Status::Unknown`].
    pub fn rolled_up(statuses: impl IntoIterator<Item = Self>) -> Self {
        statuses.into_iter().max().unwrap_or(Self::Unknown)
    }

    /// As every interface spells it.
    pub fn word(self) -> &'static str {
        match self {
            Self::NotApplicable => "NOT_APPLICABLE",
            Self::Pass => "PASS",
            Self::Partial => "PARTIAL",
            Self::Unknown => "UNKNOWN",
            Self::Error => "ERROR",
            Self::Fail => "FAIL",
        }
    }

    /// Whether it is something to be mended: [`Status::Fail`] and [`Status::Partial`].
    pub fn is_finding(self) -> bool {
        matches!(self, Self::Fail | Self::Partial)
    }

    /// Whether nothing can be said: [`Status::Unknown`] and [`Status::Error`].
    pub fn is_blind(self) -> bool {
        matches!(self, Self::Unknown | Self::Error)
    }
}

/// What a control says of one resource of one account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// [`Control::id`].
    pub control_id: String,
    /// How it stands.
    pub status: Status,
    /// How bad it is, or would be.
    pub severity: Severity,
    /// The account that was audited.
    pub account: String,
    /// The region it is about; empty for several or none.
    pub region: String,
    /// A trail, bucket or key as ARN or name, or the account. Foreign text.
    pub resource: String,
    /// Why, in a sentence with the values seen. Foreign text.
    pub reason: String,
    /// What could not be looked at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blind: Vec<Blind>,
    /// The answers that it rests on.
    #[serde(default)]
    pub evidence: Vec<Evidence>,
    /// The command that mends it, filled in; empty where there is none. Foreign text in it is quoted for a shell.
    #[serde(default)]
    pub remediation: String,
    /// What the command leaves as it is: `keeps your 2 data selectors`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub remark: String,
    /// When the snapshot was taken.
    pub time: Time,
}

/// A question without an answer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Blind {
    /// `cloudtrail:GetTrailStatus`.
    pub call: String,
    /// Whose credentials asked; empty where nobody asked.
    pub account: String,
    /// The region asked.
    pub region: String,
    /// Why there is no answer; `None` where the snapshot does not hold the question.
    pub cause: Option<Cause>,
    /// AWS's error code.
    pub code: String,
    /// The IAM permission that would settle it.
    pub permission: String,
}

impl Blind {
    /// Whether asking again may help by itself.
    pub fn passes(&self) -> bool {
        matches!(self.cause, Some(Cause::Throttled | Cause::Unreachable | Cause::Late))
    }
}

/// An answer that a verdict rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// `cloudtrail:DescribeTrails`.
    pub call: String,
    /// Whose credentials asked.
    pub account: String,
    /// The region asked.
    pub region: String,
    /// When.
    pub time: Time,
    /// AWS's id of the request.
    pub request_id: String,
    /// SHA-256 of the answer.
    pub sha256: String,
}

impl Evidence {
    /// Where an answer came from.
    pub fn of(answer: &Answer) -> Self {
        Self {
            call: answer.call.clone(),
            account: answer.account.clone(),
            region: answer.region.clone(),
            time: answer.time,
            request_id: answer.request_id.clone(),
            sha256: answer.sha256.clone(),
        }
    }
}

impl Verdict {
    /// The control that gave it, where this version still has it.
    pub fn control(&self) -> Option<&'static Control> {
        crate::controls::find(&self.control_id)
    }

    /// A hash of what is said: while it stays the same, there is nothing new to store or tell. Where all is well the
    /// values seen are no news: the time of the last delivery is another one each hour.
    pub fn fingerprint(&self) -> String {
        let is_settled = matches!(self.status, Status::Pass | Status::NotApplicable);
        let reason = if is_settled { "" } else { &self.reason };
        let said = format!("{}\u{0}{:?}\u{0}{reason}", self.status.word(), self.severity);
        crate::finding::short_hash(&said)
    }

    /// Another severity than the control's own.
    #[must_use]
    pub(crate) fn severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    /// The command that mends it.
    #[must_use]
    pub(crate) fn fix(mut self, command: impl Into<String>) -> Self {
        self.remediation = command.into();
        self
    }

    /// What the command leaves as it is.
    #[must_use]
    pub(crate) fn remark(mut self, remark: impl Into<String>) -> Self {
        self.remark = remark.into();
        self
    }

    /// The one region it is about.
    #[must_use]
    pub(crate) fn region(mut self, region: &str) -> Self {
        region.clone_into(&mut self.region);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_several_amount_to() {
        use Status::{Error, Fail, NotApplicable, Partial, Pass, Unknown};
        for (all, one) in [
            (vec![Pass, Partial, Unknown, Fail], Fail),
            (vec![Pass, Partial, Unknown], Unknown),
            (vec![Pass, Partial], Partial),
            (vec![Pass, NotApplicable], Pass),
            (vec![Error, Unknown], Error),
            (vec![], Unknown),
        ] {
            assert_eq!(Status::rolled_up(all.clone()), one, "{all:?}");
        }
    }
}
