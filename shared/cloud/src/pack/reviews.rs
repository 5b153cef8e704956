//! The access reviews of a period: their populations, logs, and what is to be excepted.

use trail::evidence::{self, Exception};
use trail::log_file::{Inflater, Limits};
use trail::record::{digest, hex};
use trail::review::standing::At;
use trail::review::{Period, Population, Standing};
use trail::time::Time;

use super::contents::Sources;
use super::sheet::Sheet;
use crate::error::Error;
use crate::state::{ReviewHeld, ReviewMeta};

/// The end is not included.
type Span = (Time, Time);

/// So long after a quarter its review may begin, in seconds.
const BEGIN_SECONDS: i64 = 14 * 86_400;

/// The sheets of reviews.
struct Sheets {
    reviews: Sheet,
    subjects: Sheet,
    receipts: Sheet,
    unknown: Sheet,
    log: Sheet,
    proofs: Sheet,
    moves: Sheet,
}

/// All reviews whose period meets the span, and the time that none is about.
pub(super) async fn fill(
    sources: &Sources<'_>,
    (span, now): ((Time, Time), Time),
    exceptions: &mut Sheet,
) -> Result<[Sheet; 7], Error> {
    let mut sheets = Sheets {
        reviews: Sheet::new("reviews")?,
        subjects: Sheet::new("review-subjects")?,
        receipts: Sheet::new("review-receipts")?,
        unknown: Sheet::new("review-unknown")?,
        log: Sheet::new("review-log")?,
        proofs: Sheet::new("revocations")?,
        moves: Sheet::new("joiners-and-leavers")?,
    };
    let mut periods = Vec::new();
    for held in sources.state.reviews_held().await? {
        held.unread.iter().for_each(|what| sheets.reviews.gap(what));
        let Some(meta) = &held.meta else { continue };
        let is_about = meta.period.from < span.1 && span.0 < meta.period.to;
        // A quarter is reviewed once it is over: that is work of this span, too.
        if is_about || (span.0..span.1).contains(&meta.opened) {
            one(sources, (&held, meta), (span, now), &mut sheets, exceptions).await?;
        }
        if meta.leaver.is_none() {
            periods.push(meta.period.clone());
        }
    }
    let running = Period::quarter(Time(now.0 - BEGIN_SECONDS), sources.settings.review.first_month).from;
    for (from, to) in uncovered(periods, span) {
        let (gone, to_come) = split((from, to), running);
        if let Some((from, to)) = gone {
            let said = format!("no access review is about {from} to {to}");
            exceptions.push(missed(from, &said).row())?;
            sheets.reviews.gap(said);
        }
        if let Some((from, to)) = to_come {
            sheets.reviews.gap(format!("no access review is about {from} to {to} yet: a quarter's comes after it"));
        }
    }
    let Sheets { reviews, subjects, receipts, unknown, log, proofs, moves } = sheets;
    Ok([reviews, subjects, receipts, unknown, log, proofs, moves])
}

/// A span up to a time, and from then on.
fn split((from, to): Span, at: Time) -> (Option<Span>, Option<Span>) {
    let some = |from: Time, to: Time| (from < to).then_some((from, to));
    (some(from, to.min(at)), some(from.max(at), to))
}

fn missed(since: Time, detail: &str) -> Exception {
    let about = "access review".to_owned();
    Exception { kind: "missed", about, since, who: String::new(), detail: detail.to_owned() }
}

/// The parts of a span that no period covers.
fn uncovered(mut periods: Vec<Period>, (from, to): (Time, Time)) -> Vec<(Time, Time)> {
    periods.sort_by_key(|period| period.from);
    let mut at = from;
    let mut bare = Vec::new();
    for period in periods {
        if period.from > at {
            bare.push((at, period.from.min(to)));
        }
        at = at.max(period.to);
    }
    if at < to {
        bare.push((at, to));
    }
    bare
}

async fn one(
    sources: &Sources<'_>,
    (held, meta): (&ReviewHeld, &ReviewMeta),
    (span, now): ((Time, Time), Time),
    sheets: &mut Sheets,
    exceptions: &mut Sheet,
) -> Result<(), Error> {
    let (entries, period) = (&held.entries, &meta.period);
    sheets.log.extend(evidence::log(period, entries))?;
    sheets.proofs.extend(evidence::proofs(period, entries))?;
    let population = match population(sources, held).await? {
        Ok(population) => population,
        Err(why) => {
            sheets.subjects.gap(why);
            return Ok(());
        }
    };
    sheets.reviews.push(evidence::standing(period, &population, entries))?;
    sheets.receipts.extend(evidence::receipts(period, &population))?;
    sheets.unknown.extend(evidence::strangers(period, &population))?;
    let at = At { settings: &sources.settings.review, known: &meta.known, now };
    let standing = Standing::of(&population, entries, at);
    sheets.subjects.extend(evidence::subjects(period, &standing, entries))?;
    sheets.moves.extend(evidence::joiners_and_leavers(span, (population.taken, &standing)))?;
    let found = evidence::exceptions((now, period), (&population, &standing), entries);
    exceptions.extend(found.iter().map(Exception::row))
}

/// The population of a review, or why it cannot be shown.
async fn population(sources: &Sources<'_>, held: &ReviewHeld) -> Result<Result<Population, String>, Error> {
    let path = sources.data.join(&["reviews", &held.id, "population.json.gz"]);
    let Some((bytes, _)) = sources.data.fetch(path.as_ref()).await? else {
        return Ok(Err(format!("the population of review {}, {path}, is not there", held.id)));
    };
    let text = Inflater::new(Limits::default()).inflate(&bytes).bytes;
    if held.meta.as_ref().is_some_and(|meta| meta.population != hex(&digest(&bytes))) {
        return Ok(Err(format!("{path} is not the population that review {} was opened over", held.id)));
    }
    Ok(serde_json::from_slice(&text).map_err(|error| format!("{path} cannot be read: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_over_is_not_missed() {
        let times = |from, to| Some((Time(from), Time(to)));
        let of = |at| split((Time(10), Time(30)), Time(at));
        assert_eq!(of(20), (times(10, 20), times(20, 30)));
        assert_eq!((of(5), of(30)), ((None, times(10, 30)), (times(10, 30), None)));
    }

    #[test]
    fn time_that_no_review_is_about_is_missed() {
        let period = |from, to| Period { id: String::new(), from: Time(from), to: Time(to) };
        let bare = |periods: &[Period]| uncovered(periods.to_vec(), (Time(10), Time(30)));
        assert_eq!(bare(&[]), [(Time(10), Time(30))]);
        assert_eq!(bare(&[period(0, 40)]), []);
        assert_eq!(bare(&[period(25, 40), period(0, 15)]), [(Time(15), Time(25))]);
        assert_eq!(bare(&[period(12, 20), period(13, 15)]), [(Time(10), Time(12)), (Time(20), Time(30))]);
    }
}
