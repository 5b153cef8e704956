//! Which row groups may hold a match, by what their footer says of them.

use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::statistics::Statistics;

use super::chunk::Chunk;
use super::scan::Bounds;
use crate::columns::{Column, Kind};
use crate::query::{Filter, Pattern, Query};

/// Whether the row group may hold a record that is asked for.
pub(super) fn may_match(chunk: &Chunk, query: &Query, bounds: &Bounds) -> bool {
    chunk.rows() > 0 && in_time(chunk, bounds) && query.filters.iter().all(|filter| filter_may_match(chunk, filter))
}

fn in_time(chunk: &Chunk, bounds: &Bounds) -> bool {
    let times = column(chunk, Column::EventTime).and_then(ColumnChunkMetaData::statistics);
    let Some(Statistics::Int64(times)) = times else { return true };
    let (Some(min), Some(max)) = (times.min_opt(), times.max_opt()) else { return true };
    bounds.meet(min.div_euclid(1000), max.div_euclid(1000))
}

fn column(chunk: &Chunk, column: Column) -> Option<&ColumnChunkMetaData> {
    Some(chunk.row_group().column(chunk.footer.leaf(column)?))
}

fn filter_may_match(chunk: &Chunk, filter: &Filter) -> bool {
    if filter.negated {
        // Of `error=none` it is known where there is nothing else.
        let [only] = filter.field.columns() else { return true };
        let no_nulls =
            column(chunk, *only).and_then(ColumnChunkMetaData::statistics).and_then(Statistics::null_count_opt);
        return !(filter.any.contains(&Pattern::Anything) && only.kind() == Kind::Text && no_nulls == Some(0));
    }
    filter
        .field
        .columns()
        .iter()
        .any(|column| filter.any.iter().any(|pattern| pattern_may_match(chunk, *column, pattern)))
}

fn pattern_may_match(chunk: &Chunk, of: Column, pattern: &Pattern) -> bool {
    let Some(meta) = column(chunk, of) else {
        // What older files lack is empty, and `no`.
        return of.kind() == Kind::Flag && of != Column::Mfa && *pattern == Pattern::Flag(false);
    };
    let Some(statistics) = meta.statistics() else { return true };
    let nulls = statistics.null_count_opt();
    if of.kind() == Kind::Text && nulls == u64::try_from(meta.num_values()).ok() {
        return false;
    }
    match (pattern, statistics) {
        (Pattern::Flag(flag), Statistics::Boolean(flags)) => {
            let may = flags.min_opt().zip(flags.max_opt()).is_none_or(|(min, max)| min == flag || max == flag);
            may || !*flag && nulls != Some(0) && of != Column::Mfa
        }
        (Pattern::Equal(text), Statistics::ByteArray(_)) => in_range(statistics, text),
        (Pattern::Same(text), Statistics::ByteArray(_)) if !text.bytes().any(|byte| byte.is_ascii_alphabetic()) => {
            in_range(statistics, text)
        }
        _ => true,
    }
}

fn in_range(statistics: &Statistics, text: &str) -> bool {
    let after = statistics.min_bytes_opt().is_none_or(|min| min <= text.as_bytes());
    let before = statistics.max_bytes_opt().is_none_or(|max| text.as_bytes() <= max);
    after && before
}
