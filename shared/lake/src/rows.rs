//! Facts to record batches, and back.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use arrow_array::builder::{BooleanBuilder, Int32Builder, ListBuilder, StringBuilder, TimestampMillisecondBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, TimestampMillisecondType};
use arrow_array::{Array, ArrayRef, RecordBatch, new_null_array};
use arrow_schema::{Field, Schema, SchemaRef};
use trail::facts::Facts;
use trail::time::Time;

use crate::columns::{ALL, Column, Kind, schema};

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| Arc::new(schema()));

/// The schema that is written.
pub(crate) fn written() -> SchemaRef {
    SCHEMA.clone()
}

/// Facts in columns, as many as are pushed.
#[derive(Debug)]
pub(crate) struct Columns {
    columns: Vec<(Column, Values)>,
    rows: usize,
}

#[derive(Debug)]
enum Values {
    Times(TimestampMillisecondBuilder),
    Texts(StringBuilder),
    Flags(BooleanBuilder),
    Lists(ListBuilder<StringBuilder>),
    Numbers(Int32Builder),
}

impl Columns {
    pub(crate) fn new() -> Self {
        Self { columns: ALL.into_iter().map(|column| (column, Values::of(column.kind()))).collect(), rows: 0 }
    }

    /// Takes up the facts of one record: one copy of each text, nothing else is allocated for it.
    pub(crate) fn push(&mut self, facts: &Facts<'_>) {
        self.rows += 1;
        for (column, values) in &mut self.columns {
            values.push(*column, facts);
        }
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn finish(self) -> RecordBatch {
        let arrays: Vec<ArrayRef> = self.columns.into_iter().map(|(_, values)| values.finish()).collect();
        // Every column has every row, in the type that the schema names.
        RecordBatch::try_new(written(), arrays).unwrap_or_else(|_| RecordBatch::new_empty(written()))
    }
}

impl Values {
    fn of(kind: Kind) -> Self {
        match kind {
            Kind::Time => Self::Times(TimestampMillisecondBuilder::new().with_timezone("UTC")),
            Kind::Text => Self::Texts(StringBuilder::new()),
            Kind::Flag => Self::Flags(BooleanBuilder::new()),
            Kind::Texts => {
                let element = Field::new("element", arrow_schema::DataType::Utf8, false);
                Self::Lists(ListBuilder::new(StringBuilder::new()).with_field(element))
            }
            Kind::Number => Self::Numbers(Int32Builder::new()),
        }
    }

    #[inline]
    fn push(&mut self, column: Column, facts: &Facts<'_>) {
        match self {
            Self::Times(times) => times.append_value(facts.event_time.0.saturating_mul(1000)),
            Self::Texts(texts) => match column.text(facts) {
                "" if !column.is_required() => texts.append_null(),
                text => texts.append_value(text),
            },
            Self::Flags(flags) => flags.append_option(column.flag(facts)),
            Self::Lists(lists) => {
                column.texts(facts).for_each(|text| lists.values().append_value(text));
                lists.append(true);
            }
            Self::Numbers(numbers) => numbers.append_value(i32::try_from(facts.source_index).unwrap_or(i32::MAX)),
        }
    }

    fn finish(self) -> ArrayRef {
        match self {
            Self::Times(mut times) => Arc::new(times.finish()),
            Self::Texts(mut texts) => Arc::new(texts.finish()),
            Self::Flags(mut flags) => Arc::new(flags.finish()),
            Self::Lists(mut lists) => Arc::new(lists.finish()),
            Self::Numbers(mut numbers) => Arc::new(numbers.finish()),
        }
    }
}

/// A batch as this version writes it: columns that it lacks are empty, columns beyond ours are left out.
pub(crate) fn conform(batch: &RecordBatch) -> Result<RecordBatch, String> {
    let schema = written();
    let arrays = schema.fields().iter().map(|field| match batch.column_by_name(field.name()) {
        Some(array) if array.data_type() == field.data_type() => Ok(array.clone()),
        Some(array) => {
            Err(format!("its column {} holds {}, not {}", field.name(), array.data_type(), field.data_type()))
        }
        None if field.is_nullable() => Ok(new_null_array(field.data_type(), batch.num_rows())),
        None => Err(format!("it has no column {}", field.name())),
    });
    let arrays = arrays.collect::<Result<Vec<_>, _>>()?;
    RecordBatch::try_new(schema.clone(), arrays).map_err(|error| error.to_string())
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
