//! Chains of digests: what their names say, how far they reach, and what is missing.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Digest, GRACE, HOUR, Problem, ProblemKind, Window};
use crate::object_key::{ObjectKey, ObjectKind};
use crate::time::Time;

/// How many missing digests of one interruption are told one by one.
const TOLD: usize = 1000;

/// Which digests follow each other: those of one trail in one account and region, under one prefix. A trail that is
/// made anew under another name or in another home region begins another chain.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Chain {
    /// What comes before `AWSLogs/` in its keys.
    pub prefix: String,
    /// The organization, `o-…`, of an organization trail.
    pub organization: Option<String>,
    /// The account whose calls are recorded.
    pub account: String,
    /// The region that they were made in.
    pub region: String,
    /// The trail's name.
    pub trail: String,
    /// The region that the trail was made in.
    pub home_region: String,
    /// Whether these are digests that AWS made up for later, which follow each other apart from the rest.
    pub backfill: bool,
}

/// `[prefix/][o-…/]account/region/trail@home-region`.
impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in [self.prefix.as_str(), self.organization.as_deref().unwrap_or_default()] {
            if !part.is_empty() {
                write!(f, "{}/", part.trim_end_matches('/'))?;
            }
        }
        write!(f, "{}/{}", self.account, self.region)?;
        if !self.trail.is_empty() {
            write!(f, "/{}@{}", self.trail, self.home_region)?;
        }
        f.write_str(if self.backfill { "/backfill" } else { "" })
    }
}

/// What a digest's key says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DigestName {
    /// Which chain it belongs to.
    pub chain: Chain,
    /// When its window ends.
    pub end: Time,
}

impl DigestName {
    /// Reads a key, or a bare file name. `None`: this is no digest's name.
    pub fn parse(key: &str) -> Option<Self> {
        let object = ObjectKey::parse(key);
        let (account, region) = (object.account?, object.region?);
        if object.kind != ObjectKind::Digest {
            return None;
        }
        let file = key.rsplit('/').next()?.strip_suffix(".json.gz")?;
        let (file, backfill) = match file.strip_suffix("_backfill") {
            Some(rest) => (rest, true),
            None => (file, false),
        };
        // A trail's name may hold underscores, so it is what the rest leaves over.
        let rest = file.strip_prefix(account)?.strip_prefix("_CloudTrail-Digest_")?;
        let (trail, end) = rest.strip_prefix(region)?.strip_prefix('_')?.rsplit_once('_')?;
        let (trail, home_region) = trail.rsplit_once('_')?;
        let prefix = key.rfind("AWSLogs/").map_or("", |at| &key[..at]);
        let chain = Chain {
            prefix: prefix.to_owned(),
            organization: object.organization.map(str::to_owned),
            account: account.to_owned(),
            region: region.to_owned(),
            trail: trail.to_owned(),
            home_region: home_region.to_owned(),
            backfill,
        };
        Some(Self { chain, end: Time::parse(end)? })
    }
}

impl Chain {
    /// What is known of the chain that a log file should be in: everything but the trail.
    pub fn of_log(key: &str) -> Option<Self> {
        let object = ObjectKey::parse(key);
        if !matches!(object.kind, ObjectKind::Trail | ObjectKind::Insight | ObjectKind::NetworkActivity) {
            return None;
        }
        let prefix = key.rfind("AWSLogs/").map_or("", |at| &key[..at]);
        Some(Self {
            prefix: prefix.to_owned(),
            organization: object.organization.map(str::to_owned),
            account: object.account?.to_owned(),
            region: object.region?.to_owned(),
            ..Self::default()
        })
    }

    /// The chain without its trail: whose log files its digests sign.
    #[must_use]
    pub fn place(&self) -> Self {
        Self { trail: String::new(), home_region: String::new(), backfill: false, ..self.clone() }
    }

    /// The folder of the log files that its digests sign, of a day.
    pub fn log_folder(&self, day: Time) -> String {
        let Self { prefix, account, region, .. } = self;
        let organization = self.organization.as_ref().map_or(String::new(), |organization| format!("{organization}/"));
        format!("{prefix}AWSLogs/{organization}{account}/CloudTrail/{region}/{}", day.date().replace('-', "/"))
    }

    /// The key of the digest whose window ends then.
    pub fn key(&self, end: Time) -> String {
        let Self { prefix, account, region, trail, home_region, .. } = self;
        let organization = self.organization.as_ref().map_or(String::new(), |organization| format!("{organization}/"));
        let date = end.date().replace('-', "/");
        let stamp = end.to_string().replace(['-', ':'], "");
        let backfill = if self.backfill { "_backfill" } else { "" };
        format!(
            "{prefix}AWSLogs/{organization}{account}/CloudTrail-Digest/{region}/{date}/\
             {account}_CloudTrail-Digest_{region}_{trail}_{home_region}_{stamp}{backfill}.json.gz"
        )
    }
}

/// How far a chain was followed: all that the next digest is checked against. Plain data, to be stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainHead {
    /// Which chain.
    pub chain: Chain,
    /// The bucket of the last digest.
    pub bucket: String,
    /// Its key.
    pub object: String,
    /// Where its window begins.
    pub start: Time,
    /// Where its window ends.
    pub end: Time,
    /// SHA-256 of its text, in hexadecimal.
    pub hash: String,
    /// Its signature, where it is known.
    pub signature: Option<String>,
}

impl ChainHead {
    /// The head that a digest is from now on.
    pub fn of(chain: &Chain, digest: &Digest, signature: Option<&str>) -> Self {
        Self {
            chain: chain.clone(),
            bucket: digest.bucket.clone(),
            object: digest.object.clone(),
            start: digest.start,
            end: digest.end,
            hash: digest.hash.clone(),
            signature: signature.map(str::to_owned),
        }
    }

    /// The digests that should be there by now and are not, hour by hour. `now` less [`GRACE`] is what must be covered.
    pub fn missing_by(&self, now: Time) -> Vec<Problem> {
        self.missing_until(Time(now.0.saturating_sub(GRACE)))
    }

    /// The digests that are missing for `until` to be covered.
    pub fn missing_until(&self, until: Time) -> Vec<Problem> {
        let ends = std::iter::successors(Some(self.end.0), |end| Some(end.saturating_add(HOUR)));
        let windows =
            ends.take_while(|from| *from < until.0).map(|from| Window { from: Time(from), to: Time(from + HOUR) });
        let last = Window { from: self.end, to: until };
        told(&self.chain, windows, last, None)
    }
}

/// The digests that are missing between one and the next that is there, hour by hour.
pub fn missing_between(head: &ChainHead, next: &Digest) -> Vec<Problem> {
    missing_before(&head.chain, Window { from: head.end, to: next.start }, next.previous_object.as_deref())
}

/// The digests that are missing in a window that ends where the next one begins, hour by hour, the latest first. The
/// latest is told by the name that the next digest gives it, where it is known.
pub fn missing_before(chain: &Chain, all: Window, named: Option<&str>) -> Vec<Problem> {
    let starts = std::iter::successors(Some(all.to.0), |start| Some(start.saturating_sub(HOUR)));
    let windows = starts
        .take_while(|to| *to > all.from.0)
        .map(|to| Window { from: Time(all.from.0.max(to - HOUR)), to: Time(to) });
    told(chain, windows, all, named)
}

/// A problem for each window; beyond the cap one more for all the rest.
fn told(chain: &Chain, windows: impl Iterator<Item = Window>, all: Window, first: Option<&str>) -> Vec<Problem> {
    let mut problems: Vec<Problem> = Vec::new();
    for window in windows {
        if problems.len() == TOLD {
            let more = "and all further ones of this window";
            problems.push(Problem::new(ProblemKind::DigestMissing, "", chain, more).within(all));
            break;
        }
        let named = first.filter(|_| problems.is_empty());
        let key = named.map_or_else(|| chain.key(window.to), str::to_owned);
        let detail = match named {
            Some(_) => "the next digest names it, and it is not there",
            None => "no digest covers this window; its name is a guess by the hour",
        };
        problems.push(Problem::new(ProblemKind::DigestMissing, &key, chain, detail).within(window));
    }
    problems
}
