//! What could be looked at: accounts, regions and calls. So "nothing found" is told apart from "could not look".

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::snapshot::{Answer, Cause, Reply, Snapshot};

/// What became of a question, the best first: of several, the worst one stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Seen {
    /// It was answered, also with "there is none".
    Ok,
    /// The region or service is not enabled: there is nothing to see.
    Disabled,
    /// AWS was too busy, or did not answer.
    Failed,
    /// The answer cannot be read.
    Unreadable,
    /// It was refused.
    Denied,
    /// The role could not be taken.
    NoRole,
}

impl Seen {
    /// What became of one question.
    pub fn of(answer: &Answer) -> Self {
        let refusal = match &answer.result {
            Reply::Body(body) if body.is_object() => return Self::Ok,
            Reply::Body(_) => return Self::Unreadable,
            Reply::Refusal(refusal) => refusal,
        };
        match refusal.cause {
            Cause::Absent => Self::Ok,
            Cause::Disabled => Self::Disabled,
            Cause::Throttled | Cause::Unreachable | Cause::Late => Self::Failed,
            Cause::Unknown => Self::Unreadable,
            Cause::Denied => Self::Denied,
            Cause::NoRole => Self::NoRole,
        }
    }

    /// Whether something is left to be seen.
    pub fn is_blind(self) -> bool {
        self > Self::Disabled
    }
}

/// What could be looked at in a run over many accounts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage {
    /// By account, region and call.
    pub cells: BTreeMap<(String, String, String), Seen>,
    /// Accounts that should be looked at, and regions of each that are known.
    accounts: BTreeMap<String, BTreeSet<String>>,
    /// Regions in which the trails could be seen.
    seen: BTreeSet<(String, String)>,
}

impl Coverage {
    /// Says that an account should be looked at, whether or not a snapshot of it comes.
    pub fn expect(&mut self, account: &str) {
        self.accounts.entry(account.to_owned()).or_default();
    }

    /// Adds what a snapshot could see.
    ///
    /// A question may be asked by one account after the other until one may ask: then the best answer counts, and the
    /// attempts before it do not.
    pub fn add(&mut self, snapshot: &Snapshot) {
        let account = &snapshot.account;
        self.expect(account);
        for (question, seen) in best(snapshot) {
            let cell = (account.clone(), question.region.to_owned(), question.call.to_owned());
            let known = self.cells.entry(cell).or_insert(seen);
            *known = seen.max(*known);
            if question.call == "cloudtrail:DescribeTrails" && seen != Seen::Disabled {
                self.accounts.entry(account.clone()).or_default().insert(question.region.to_owned());
                if seen == Seen::Ok {
                    self.seen.insert((account.clone(), question.region.to_owned()));
                }
            }
        }
    }

    /// How many accounts were seen, of how many.
    pub fn accounts(&self) -> (usize, usize) {
        (self.accounts.len() - self.unseen_accounts().len(), self.accounts.len())
    }

    /// In how many regions over all accounts the trails were seen, of how many.
    pub fn regions(&self) -> (usize, usize) {
        (self.seen.len(), self.accounts.values().map(BTreeSet::len).sum())
    }

    /// The accounts of which no region was seen.
    pub fn unseen_accounts(&self) -> Vec<&str> {
        let seen: BTreeSet<&str> = self.seen.iter().map(|(account, _)| account.as_str()).collect();
        self.accounts.keys().map(String::as_str).filter(|account| !seen.contains(account)).collect()
    }

    /// The accounts that were seen with regions that were not, and those regions.
    pub fn unseen_regions(&self) -> BTreeMap<&str, Vec<&str>> {
        let unseen = self.unseen_accounts();
        let mut regions = BTreeMap::new();
        for (account, known) in self.accounts.iter().filter(|(account, _)| !unseen.contains(&account.as_str())) {
            let dark: Vec<&str> = known
                .iter()
                .filter(|r| !self.seen.contains(&(account.clone(), (*r).clone())))
                .map(String::as_str)
                .collect();
            if !dark.is_empty() {
                regions.insert(account.as_str(), dark);
            }
        }
        regions
    }
}

/// What tells questions apart, whoever asked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Asked<'s> {
    call: &'s str,
    region: &'s str,
    parameters: Vec<(&'s str, &'s str)>,
}

fn best(snapshot: &Snapshot) -> BTreeMap<Asked<'_>, Seen> {
    let mut questions = BTreeMap::new();
    for answer in &snapshot.answers {
        // Who owns a bucket is found by asking as one after the other.
        let parameters = answer.parameters.iter().filter(|(name, _)| *name != "ExpectedBucketOwner");
        let question = Asked {
            call: &answer.call,
            region: &answer.region,
            parameters: parameters.map(|(name, value)| (name.as_str(), value.as_str())).collect(),
        };
        let seen = Seen::of(answer);
        questions.entry(question).and_modify(|known: &mut Seen| *known = seen.min(*known)).or_insert(seen);
    }
    questions
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controls::testing::{Account, denied};

    #[test]
    fn what_could_be_seen_is_counted() {
        let mut coverage = Coverage::default();
        let mut half = Account::new("111122223333", &["eu-west-1", "us-east-1"]);
        half.refuse("cloudtrail:DescribeTrails", "us-east-1", &[], denied());
        coverage.add(&half.snapshot());
        let mut dark = Account::new("444455556666", &["eu-west-1"]);
        dark.refuse("cloudtrail:DescribeTrails", "eu-west-1", &[], denied());
        coverage.add(&dark.snapshot());
        coverage.expect("777788889999");
        assert_eq!(coverage.accounts(), (1, 3));
        assert_eq!(coverage.regions(), (1, 3));
        assert_eq!(coverage.unseen_accounts(), ["444455556666", "777788889999"]);
        assert_eq!(coverage.unseen_regions(), BTreeMap::from([("111122223333", vec!["us-east-1"])]));
        let cell = ("111122223333".to_owned(), "us-east-1".to_owned(), "cloudtrail:DescribeTrails".to_owned());
        assert_eq!(coverage.cells.get(&cell), Some(&Seen::Denied));
    }
}
