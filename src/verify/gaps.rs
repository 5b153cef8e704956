//! Interrupted chains: who interrupted them, by the signed log files near by.

use std::collections::HashSet;
use std::sync::Arc;

use trail::detection::Engine;
use trail::digest::{Chain, Gap, TrailChange, Window};
use trail::log_file::{Inflater, Limits, evaluate};
use trail::object_key::ObjectKey;
use trail::record::Record;
use trail::settings::Settings;

use super::Verification;
use super::chain::Followed;

/// How long after a call, in seconds, its record may be delivered.
const DELIVERY: i64 = 3600;

impl Verification {
    /// Explains gaps; what cannot be explained is a problem. Yields where validation was off, rightly.
    pub(super) async fn explain(self: &Arc<Self>, followed: &mut [Followed], logs: &[String]) -> Vec<(Chain, Window)> {
        if followed.iter().all(|one| one.gaps.is_empty()) {
            return Vec::new();
        }
        // A record explains something only where AWS signed it: anybody who writes to the bucket could add one.
        let proven: HashSet<u64> = followed.iter().flat_map(|one| one.proven.iter().copied()).collect();
        let engine = Engine::new(Settings::default());
        let mut explained = Vec::new();
        for one in followed {
            for gap in std::mem::take(&mut one.gaps) {
                let near = logs.iter().filter(|key| is_near(&gap, key) && proven.contains(&self.mark(key)));
                let mut found = false;
                for key in near {
                    found = found || self.explains(&engine, &gap, key).await;
                }
                if found {
                    explained.push((gap.chain.place(), gap.window));
                } else {
                    one.problems.push(gap.unexplained());
                }
            }
        }
        explained
    }

    async fn explains(&self, engine: &Engine, gap: &Gap, key: &str) -> bool {
        let Ok(Some(object)) = self.source.read(key).await else { return false };
        let inflated = Inflater::new(Limits::default()).inflate(&object.bytes);
        let mut found = false;
        let mut each = |record: &Record<'_>| {
            found = found || TrailChange::of(record).is_some_and(|change| gap.is_explained_by(&change));
        };
        evaluate(engine, &inflated, key, Limits::default(), &mut each);
        found
    }
}

/// Whether a log file may hold the record of the call: delivered then, where the trail was made. The record of an
/// organization's trail lies in its management account.
fn is_near(gap: &Gap, key: &str) -> bool {
    let object = ObjectKey::parse(key);
    let here = object.region == Some(&gap.chain.home_region)
        && object.organization == gap.chain.organization.as_deref()
        && (object.organization.is_some() || object.account == Some(&gap.chain.account));
    let delivered = |from: i64, to: i64| object.time.is_some_and(|time| from <= time.0 && time.0 < to);
    here && delivered(gap.called.from.0, gap.called.to.0.saturating_add(DELIVERY))
}
