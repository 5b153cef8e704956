//! What a change amounts to, and what moves its grade: what came of it, and by what hand it was made.

use crate::detection::{Case, Catch, Deed, Severity};
use crate::record::Outcome;

use super::wording::{content_left_out, last_part, plain, resources};

/// What a change is about. Each has a detection of its own, so that one change is one finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::detections) enum Topic {
    /// AWS found a key in public, or somebody undoes what AWS did about it.
    Quarantine,
    /// Somebody was given the rights of an administrator, or a way to them, or took more.
    Grant,
    /// A role lets in whom it should not.
    Trust,
    /// A way to sign in or to sign calls.
    Credential,
    /// A second factor is gone.
    SecondFactor,
    /// A limit on what others may do is gone.
    Guardrail,
    /// Who may vouch for identities.
    Federation,
    /// A setting of the account as a whole.
    Setting,
    /// Which accounts belong to the organization.
    Membership,
    /// Others were entitled to act here: a partner, a service, an account.
    Delegation,
    /// The record does not show what was changed.
    Hidden,
    /// AWS refused or could not do it.
    Refused,
    /// Everything else, for review.
    Routine,
}

/// A change, graded as if it had been carried out by a person.
#[derive(Debug, Clone)]
pub(in crate::detections) struct Change {
    pub(in crate::detections) topic: Topic,
    severity: Severity,
    /// How bad the mere attempt is.
    attempt: Severity,
    /// Whether it is as bad by whatever hand.
    firm: bool,
    deed: Deed,
    /// What it was done to.
    target: String,
    /// Changes of one actor and kind are one finding where they are routine.
    kind: &'static str,
    why: Option<String>,
}

impl Change {
    /// Something for review, told in the words of the call itself.
    pub(in crate::detections) fn routine(case: &Case<'_>, severity: Severity, kind: &'static str) -> Self {
        let deed = plain(case);
        let target = deed.object.clone();
        let attempt = if severity == Severity::Informational { Severity::Low } else { Severity::Medium };
        Self { topic: Topic::Routine, severity, attempt, firm: false, deed, target, kind, why: None }
    }

    /// Something to look at by itself. `target` is what it was done to.
    pub(in crate::detections) fn serious(topic: Topic, severity: Severity, deed: Deed, target: &str) -> Self {
        let target = if target.is_empty() { deed.object.clone() } else { target.to_owned() };
        Self { topic, severity, attempt: Severity::Medium, firm: false, deed, target, kind: "", why: None }
    }

    /// How bad it is.
    pub(in crate::detections) fn severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    /// As bad by whatever hand it was made.
    pub(in crate::detections) fn firm(mut self) -> Self {
        self.firm = true;
        self
    }

    /// How bad the mere attempt is, where it is not for review only.
    pub(in crate::detections) fn attempt(mut self, severity: Severity) -> Self {
        self.attempt = severity;
        self
    }

    /// In other words than those of the call.
    pub(in crate::detections) fn told(mut self, deed: Deed) -> Self {
        self.deed = deed;
        self
    }

    /// Why this one matters.
    pub(in crate::detections) fn because(mut self, why: impl Into<String>) -> Self {
        self.why = Some(why.into()).filter(|why| !why.is_empty());
        self
    }

    /// Something whose content AWS took and `CloudTrail` did not keep.
    pub(in crate::detections) fn hidden(mut self) -> Self {
        self.topic = Topic::Hidden;
        self.severity = self.severity.max(Severity::High);
        self.deed.object.push_str(", its content left out of the record");
        self
    }

    /// The change as it comes out under the circumstances of its record.
    pub(in crate::detections) fn settled(self, case: &Case<'_>) -> Self {
        match case.outcome {
            Outcome::Denied => self.refused(case),
            Outcome::Failed => self.failed(),
            Outcome::Success if content_left_out(case) && self.topic != Topic::Hidden => {
                self.hidden().by(Hand::of(case))
            }
            Outcome::Success => self.by(Hand::of(case)),
        }
    }

    /// An attempt that is bad in itself stays what it was about; all others of an actor are one finding.
    fn refused(self, case: &Case<'_>) -> Self {
        let vouched = matches!(Hand::of(case), Hand::Service | Hand::Provisioning);
        match self.attempt {
            severity if severity >= Severity::High => Self { severity, ..self },
            _ if vouched => self.came_to_nothing(Severity::Low, "refused"),
            severity => self.came_to_nothing(severity, "refused"),
        }
    }

    /// It exists already, is not there, is too large: an attempt that only matters where every attempt does.
    fn failed(self) -> Self {
        match self.attempt {
            Severity::Critical => Self { severity: Severity::Critical, ..self },
            _ => self.came_to_nothing(Severity::Low, "failed"),
        }
    }

    fn came_to_nothing(self, severity: Severity, kind: &'static str) -> Self {
        Self { topic: Topic::Refused, severity, kind, why: None, ..self }
    }

    fn by(mut self, hand: Hand) -> Self {
        if !self.firm {
            self.severity = hand.regrade(self.severity, self.topic);
        }
        self
    }

    /// What to say of it.
    pub(in crate::detections) fn catch(self, case: &Case<'_>) -> Catch {
        let kind = if self.topic == Topic::Routine || self.topic == Topic::Refused { self.kind } else { &self.target };
        let key = format!("{}|{kind}", case.actor.key());
        let named = resources(case);
        let resources = if named.is_empty() { vec![self.target] } else { named };
        let catch = Catch::new(self.deed).severity(self.severity).key(key);
        let catch = resources.into_iter().fold(catch, Catch::resource);
        match self.why {
            Some(why) => catch.why(why),
            None => catch,
        }
    }
}

/// By what hand a change was made, as far as AWS vouches for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hand {
    /// A service on its own account, by its service-linked role.
    Service,
    /// `CloudFormation` or Control Tower.
    Provisioning,
    /// A program that calls itself a provisioning tool. Anybody can.
    Tool,
    /// An instance, whose role can be stolen from its metadata; perhaps one that provisioning tools run on.
    Instance { tool: bool },
    /// Somebody.
    Person,
}

impl Hand {
    fn of(case: &Case<'_>) -> Self {
        let actor = case.actor;
        let tool = calls_itself_a_tool(case.record.user_agent());
        match () {
            () if actor.kind == "AWSService" || actor.issuer_arn.contains(":role/aws-service-role/") => Self::Service,
            () if provisions(&actor.invoked_by) || is_provisioning_role(&actor.role) => Self::Provisioning,
            () if is_instance(&actor.principal) => Self::Instance { tool },
            () if tool => Self::Tool,
            () => Self::Person,
        }
    }

    /// Nothing is dropped, and what a caller says about itself lowers only what is routine.
    fn regrade(self, severity: Severity, topic: Topic) -> Severity {
        let routine = topic == Topic::Routine;
        let lowered = match self {
            Self::Service => one_lower(one_lower(severity)),
            Self::Provisioning => one_lower(severity),
            Self::Tool if routine => one_lower(severity),
            Self::Instance { tool } if severity >= Severity::Medium && !(tool && routine) => {
                return one_higher(severity);
            }
            Self::Instance { .. } | Self::Tool | Self::Person => severity,
        };
        lowered.max(Severity::Low).min(severity)
    }
}

fn provisions(service: &str) -> bool {
    service.ends_with("cloudformation.amazonaws.com") || service == "controltower.amazonaws.com"
}

fn is_provisioning_role(role: &str) -> bool {
    ["AWSControlTowerExecution", "AWSControlTowerAdmin", "AWSControlTowerStackSetRole"].contains(&role)
}

/// The session of an instance role is named after the instance.
fn is_instance(principal: &str) -> bool {
    let session = principal.split_once(':').map_or("", |(_, session)| session);
    let digits = session.strip_prefix("i-").unwrap_or_default();
    digits.len() >= 8 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn calls_itself_a_tool(user_agent: &str) -> bool {
    ["Terraform", "OpenTofu", "Pulumi", "aws-cdk"].iter().any(|tool| user_agent.contains(tool))
}

fn one_lower(severity: Severity) -> Severity {
    match severity {
        Severity::Critical => Severity::High,
        Severity::High => Severity::Medium,
        Severity::Medium => Severity::Low,
        Severity::Low | Severity::Informational => Severity::Informational,
    }
}

fn one_higher(severity: Severity) -> Severity {
    match severity {
        Severity::Informational => Severity::Low,
        Severity::Low => Severity::Medium,
        Severity::Medium => Severity::High,
        Severity::High | Severity::Critical => Severity::Critical,
    }
}

/// Whether the actor is this user, or acts in a session of this user or role.
pub(in crate::detections) fn is_oneself(case: &Case<'_>, kind: &str, name: &str) -> bool {
    let actor = case.actor;
    let same_account = actor.account.is_empty() || case.account == "-" || actor.account == case.account;
    let own = match (kind, actor.kind.as_str(), actor.issuer_kind.as_str()) {
        ("user", "IAMUser", _) => last_part(if actor.arn.is_empty() { &actor.name } else { &actor.arn }),
        ("user", _, "IAMUser") | ("role", _, "Role") => last_part(&actor.issuer_arn),
        ("role", "AssumedRole", _) => &actor.role,
        _ => "",
    };
    same_account && !name.is_empty() && own.eq_ignore_ascii_case(name)
}
