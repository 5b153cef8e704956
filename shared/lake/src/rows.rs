//! Facts to record batches, and back.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use arrow_array::builder::{BooleanBuilder, Int32Builder, ListBuilder, StringBuilder, TimestampMillisecondBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, TimestampMillisecondType};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{Field, Schema, SchemaRef};
use trail::facts::Facts;
use trail::time::Time;

use crate::columns::{ALL, Column, Kind, schema};

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| Arc::new(schema()));

/// The schema that is written.
pub(crate) fn written() -> SchemaRef {
    SCHEMA.clone()
}

/// Rows as a batch in the files' columns.
pub(crate) fn batch<'f>(rows: &[impl std::borrow::Borrow<Facts<'f>>]) -> RecordBatch {
    let columns: Vec<ArrayRef> = ALL.iter().map(|column| array(*column, rows)).collect();
    // Every column is made of all rows, with the type that the schema names.
    RecordBatch::try_new(written(), columns).unwrap_or_else(|_| RecordBatch::new_empty(written()))
}

fn array<'f>(column: Column, rows: &[impl std::borrow::Borrow<Facts<'f>>]) -> ArrayRef {
    let rows = rows.iter().map(std::borrow::Borrow::borrow);
    match column.kind() {
        Kind::Time => {
            let mut times = TimestampMillisecondBuilder::with_capacity(rows.len()).with_timezone("UTC");
            rows.for_each(|facts| times.append_value(facts.event_time.0.saturating_mul(1000)));
            Arc::new(times.finish())
        }
        Kind::Number => {
            let mut numbers = Int32Builder::with_capacity(rows.len());
            rows.for_each(|facts| numbers.append_value(i32::try_from(facts.source_index).unwrap_or(i32::MAX)));
            Arc::new(numbers.finish())
        }
        Kind::Flag => {
            let mut flags = BooleanBuilder::with_capacity(rows.len());
            rows.for_each(|facts| flags.append_option(column.flag(facts)));
            Arc::new(flags.finish())
        }
        Kind::Text => {
            let mut texts = StringBuilder::new();
            rows.for_each(|facts| match column.text(facts) {
                "" if !column.is_required() => texts.append_null(),
                text => texts.append_value(text),
            });
            Arc::new(texts.finish())
        }
        Kind::Texts => {
            let element = Field::new("element", arrow_schema::DataType::Utf8, false);
            let mut lists = ListBuilder::new(StringBuilder::new()).with_field(element);
            rows.for_each(|facts| {
                column.texts(facts).for_each(|text| lists.values().append_value(text));
                lists.append(true);
            });
            Arc::new(lists.finish())
        }
    }
}

/// Some rows of a batch. Columns that it lacks are empty, columns that it has beyond ours are left out.
pub(crate) fn facts(batch: &RecordBatch, places: &[usize]) -> Vec<Facts<'static>> {
    let mut rows = vec![Facts::default(); places.len()];
    for (array, column) in known(batch.schema_ref()).map(|(at, column)| (batch.column(at), column)) {
        for (facts, row) in rows.iter_mut().zip(places).filter(|(_, row)| array.is_valid(**row)) {
            set(facts, column, array, *row);
        }
    }
    rows
}

fn known(schema: &Schema) -> impl Iterator<Item = (usize, Column)> {
    let named = |name: &str| ALL.into_iter().find(|column| column.name() == name);
    schema.fields().iter().enumerate().filter_map(move |(at, field)| Some((at, named(field.name())?)))
}

fn set(facts: &mut Facts<'static>, column: Column, array: &ArrayRef, row: usize) {
    match column.kind() {
        Kind::Time => {
            let times = array.as_primitive_opt::<TimestampMillisecondType>();
            facts.event_time = Time(times.map_or(0, |times| times.value(row)).div_euclid(1000));
        }
        Kind::Number => {
            let numbers = array.as_primitive_opt::<Int32Type>();
            facts.source_index = numbers.and_then(|numbers| u32::try_from(numbers.value(row)).ok()).unwrap_or(0);
        }
        Kind::Flag => {
            if let Some(flags) = array.as_boolean_opt() {
                column.set_flag(facts, flags.value(row));
            }
        }
        Kind::Text => {
            if let (Some(texts), Some(text)) = (array.as_string_opt::<i32>(), column.text_mut(facts)) {
                *text = Cow::Owned(texts.value(row).to_owned());
            }
        }
        Kind::Texts => {
            let lists = array.as_list_opt::<i32>().map(|lists| lists.value(row));
            let elements = lists.as_ref().and_then(|list| list.as_string_opt::<i32>());
            if let (Some(elements), Some(texts)) = (elements, column.texts_mut(facts)) {
                *texts = elements.iter().flatten().map(|text| Cow::Owned(text.to_owned())).collect();
            }
        }
    }
}
