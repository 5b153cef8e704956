//! Filters over columns: each pattern is tried once for each distinct text, not for each row.

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, TimestampMillisecondType};
use arrow_array::{Array, BooleanArray, DictionaryArray, ListArray, RecordBatch, StringArray};
use parquet::errors::ParquetError;

use crate::columns::{Column, Kind};
use crate::query::{Filter, Pattern};

/// A column's values, as far as filters and facets look at them.
pub(super) enum Values<'b> {
    /// Each distinct text once.
    Distinct(&'b DictionaryArray<Int32Type>, &'b StringArray),
    /// A text for each row.
    Plain(&'b StringArray),
    /// Some texts for each row.
    Lists(&'b ListArray, &'b DictionaryArray<Int32Type>, &'b StringArray),
    /// The same, where texts hardly come again.
    PlainLists(&'b ListArray, &'b StringArray),
    /// Answers.
    Flags(&'b BooleanArray),
}

impl<'b> Values<'b> {
    /// The column's values; none where the file lacks it.
    pub(super) fn of(batch: &'b RecordBatch, column: Column) -> Result<Option<Self>, ParquetError> {
        let Some(array) = batch.column_by_name(column.name()) else { return Ok(None) };
        let other = || ParquetError::General(format!("{} is not of the lake's type", column.name()));
        let values = match column.kind() {
            Kind::Text => match array.as_dictionary_opt::<Int32Type>() {
                Some(keys) => keys.values().as_string_opt().map(|texts| Self::Distinct(keys, texts)),
                None => array.as_string_opt().map(Self::Plain),
            },
            Kind::Texts => {
                let list = array.as_list_opt::<i32>();
                let keys = list.and_then(|list| list.values().as_dictionary_opt::<Int32Type>());
                let texts = keys.and_then(|keys| keys.values().as_string_opt());
                let plain = list.and_then(|list| list.values().as_string_opt());
                if let (Some(list), Some(texts)) = (list, plain) {
                    return Ok(Some(Self::PlainLists(list, texts)));
                }
                list.zip(keys).zip(texts).map(|((list, keys), texts)| Self::Lists(list, keys, texts))
            }
            Kind::Flag => array.as_boolean_opt().map(Self::Flags),
            Kind::Time | Kind::Number => None,
        };
        values.map(Some).ok_or_else(other)
    }
}

/// Which rows of one column a filter catches.
enum Test<'b> {
    Distinct(&'b DictionaryArray<Int32Type>, Vec<bool>),
    Plain(&'b StringArray),
    Lists(&'b ListArray, &'b DictionaryArray<Int32Type>, Vec<bool>),
    PlainLists(&'b ListArray, &'b StringArray),
    Flags(&'b BooleanArray, [bool; 3]),
    Always,
}

impl<'b> Test<'b> {
    /// None where it catches no row.
    fn of(filter: &Filter, batch: &'b RecordBatch, column: Column) -> Result<Option<Self>, ParquetError> {
        let caught = |texts: &StringArray| -> Vec<bool> {
            texts.iter().map(|text| text.is_some_and(|text| filter.catches(text))).collect()
        };
        let flag = |flag: bool| filter.any.contains(&Pattern::Flag(flag));
        // What is not there counts as `no`, but for a second factor.
        let unknown = column != Column::Mfa && flag(false);
        Ok(match Values::of(batch, column)? {
            None if column.kind() == Kind::Flag => unknown.then_some(Self::Always),
            None => None,
            Some(Values::Distinct(keys, texts)) => {
                Some(caught(texts)).filter(|hits| hits.contains(&true)).map(|hits| Self::Distinct(keys, hits))
            }
            Some(Values::Lists(list, keys, texts)) => {
                Some(caught(texts)).filter(|hits| hits.contains(&true)).map(|hits| Self::Lists(list, keys, hits))
            }
            Some(Values::Plain(texts)) => Some(Self::Plain(texts)),
            Some(Values::PlainLists(list, texts)) => Some(Self::PlainLists(list, texts)),
            Some(Values::Flags(flags)) => Some(Self::Flags(flags, [flag(false), flag(true), unknown])),
        })
    }

    fn catches(&self, filter: &Filter, row: usize) -> bool {
        match self {
            Self::Distinct(keys, hits) => keys.key(row).is_some_and(|key| hits.get(key).is_some_and(|hit| *hit)),
            Self::Plain(texts) => texts.is_valid(row) && filter.catches(texts.value(row)),
            Self::Lists(list, keys, hits) => span(list, row)
                .any(|element| keys.key(element).is_some_and(|key| hits.get(key).is_some_and(|hit| *hit))),
            Self::PlainLists(list, texts) => span(list, row).any(|element| filter.catches(texts.value(element))),
            Self::Flags(flags, [no, yes, unknown]) => match (flags.is_valid(row), flags.value(row)) {
                (false, _) => *unknown,
                (true, true) => *yes,
                (true, false) => *no,
            },
            Self::Always => true,
        }
    }
}

/// The elements of a row's list.
pub(super) fn span(list: &ListArray, row: usize) -> std::ops::Range<usize> {
    let offsets = list.value_offsets();
    let at = |index: usize| usize::try_from(offsets[index]).unwrap_or(0);
    if list.is_null(row) { 0..0 } else { at(row)..at(row + 1) }
}

/// A filter over a batch that has its columns.
pub(super) struct Sieve<'b> {
    filter: &'b Filter,
    tests: Vec<Test<'b>>,
}

impl<'b> Sieve<'b> {
    pub(super) fn of(filter: &'b Filter, batch: &'b RecordBatch) -> Result<Self, ParquetError> {
        let mut tests = Vec::new();
        for column in filter.field.columns() {
            tests.extend(Test::of(filter, batch, *column)?);
        }
        Ok(Self { filter, tests })
    }

    /// Whether the filter holds of a row of the batch.
    pub(super) fn keeps(&self, row: usize) -> bool {
        self.tests.iter().any(|test| test.catches(self.filter, row)) != self.filter.negated
    }

    /// Leaves the rows of which it holds.
    pub(super) fn sift(&self, rows: &mut Vec<u32>) {
        match (self.tests.is_empty(), self.filter.negated) {
            (true, false) => rows.clear(),
            (true, true) => {}
            (false, _) => rows.retain(|row| self.keeps(*row as usize)),
        }
    }
}

/// The seconds of all rows.
pub(super) fn times(batch: &RecordBatch) -> Result<Vec<i64>, ParquetError> {
    let array = batch.column_by_name(Column::EventTime.name());
    let times = array.and_then(|array| array.as_primitive_opt::<TimestampMillisecondType>());
    let times = times.ok_or_else(|| ParquetError::General("event_time is not of the lake's type".to_owned()))?;
    Ok(times.values().iter().map(|time| time.div_euclid(1000)).collect())
}
