//! Rows of the table. The same thing done again and again is one row that opens.

use std::collections::BTreeSet;

use trail::facts::Facts;

/// Records one after another that differ in time, id and resource alone.
#[derive(Debug)]
pub(crate) struct Run<'r> {
    /// They, newest first; never none.
    pub(crate) records: &'r [Facts<'static>],
}

impl<'r> Run<'r> {
    /// The newest one.
    pub(crate) fn first(&self) -> &'r Facts<'static> {
        &self.records[0]
    }

    /// Different things that they are about, by what names each best.
    pub(crate) fn resources(&self) -> usize {
        self.records.iter().filter_map(resource).collect::<BTreeSet<_>>().len()
    }
}

/// What a record is about, by the name that says most: the last one that is no ARN of somebody's role.
pub(crate) fn resource<'f>(facts: &'f Facts<'_>) -> Option<&'f str> {
    let acted = |text: &&str| **text != *facts.actor_arn && **text != *facts.issuer_arn;
    let named = facts.resources.iter().map(|text| &**text);
    named.clone().find(acted).or_else(|| named.clone().next())
}

/// Cuts records into runs; into single ones where each is wanted.
pub(crate) fn runs<'r>(records: &'r [Facts<'static>], each: bool) -> Vec<Run<'r>> {
    records.chunk_by(|one, next| !each && is_same(one, next)).map(|records| Run { records }).collect()
}

fn is_same(one: &Facts<'_>, other: &Facts<'_>) -> bool {
    let what = |facts: &Facts<'_>| {
        let own = |text: &str| text.to_owned();
        (
            (own(&facts.event_source), own(&facts.event_name), own(&facts.error_code)),
            (own(&facts.actor_name), own(&facts.actor_arn), own(&facts.access_key)),
            (own(&facts.source_ip), own(&facts.account), own(&facts.region)),
        )
    };
    one.event_name == other.event_name && one.event_time.date() == other.event_time.date() && what(one) == what(other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use trail::time::Time;

    #[test]
    fn the_same_thing_again_is_one_run() {
        let make = |name: &'static str, resource: &'static str, time| Facts {
            event_name: name.into(),
            resources: vec![resource.into()],
            event_time: Time(time),
            ..Facts::default()
        };
        let records = [make("Decrypt", "a", 9), make("Decrypt", "b", 8), make("Get", "b", 7), make("Decrypt", "b", 6)];
        let cut = runs(&records, false);
        assert_eq!(cut.iter().map(|run| run.records.len()).collect::<Vec<_>>(), [2, 1, 1]);
        assert_eq!(cut[0].resources(), 2);
        assert_eq!(runs(&records, true).len(), 4);
    }
}
