//! The order of rows in a part, and the hash that cuts a day into parts.

use std::cmp::Ordering;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, TimestampMillisecondType};
use arrow_array::{Array, BooleanArray, Int32Array, RecordBatch, StringArray, TimestampMillisecondArray};

use crate::columns::Column;
use crate::layout::Part;

/// A hash that stays the same in every version: parts are cut by it. FNV-1a, then mixed into the upper bits.
pub(crate) fn actor_hash(actor: &str) -> u64 {
    let folded = actor
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    let mixed = (folded ^ (folded >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    mixed ^ (mixed >> 33)
}

impl Part {
    /// The part that holds an actor's records. Hashes are cut into ranges, so that rows sorted by hash lie by part.
    pub fn of_actor(actor: &str, of: u32) -> Self {
        let index = (u128::from(actor_hash(actor)) * u128::from(of)) >> 64;
        // A 64-bit hash times `of`, without its lower 64 bits, is below `of`.
        Self { index: u32::try_from(index).unwrap_or(0), of }
    }
}

/// What rows of a batch are ordered by: people before services, then actor, time, account and id; then what tells
/// copies of a record apart.
#[derive(Debug)]
pub(crate) struct Keys {
    by_service: BooleanArray,
    actor: StringArray,
    time: TimestampMillisecondArray,
    account: StringArray,
    id: StringArray,
    json: StringArray,
    object: StringArray,
    index: Int32Array,
}

impl Keys {
    /// The keys of a batch in the schema that is written.
    pub(crate) fn of(batch: &RecordBatch) -> Option<Self> {
        let texts = |column: Column| batch.column_by_name(column.name())?.as_string_opt::<i32>().cloned();
        let column = |column: Column| batch.column_by_name(column.name());
        Some(Self {
            by_service: column(Column::ByService)?.as_boolean_opt()?.clone(),
            actor: texts(Column::ActorName)?,
            time: column(Column::EventTime)?.as_primitive_opt::<TimestampMillisecondType>()?.clone(),
            account: texts(Column::Account)?,
            id: texts(Column::EventId)?,
            json: texts(Column::Json)?,
            object: texts(Column::SourceObject)?,
            index: column(Column::SourceIndex)?.as_primitive_opt::<Int32Type>()?.clone(),
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.id.len()
    }

    /// The actor's name.
    pub(crate) fn actor(&self, row: usize) -> &str {
        text(&self.actor, row)
    }

    /// The record's account and id.
    pub(crate) fn identity(&self, row: usize) -> (&str, &str) {
        (text(&self.account, row), text(&self.id, row))
    }

    /// How long the record is, in bytes.
    pub(crate) fn json_bytes(&self, row: usize) -> usize {
        text(&self.json, row).len()
    }

    /// The order of two records in a part; equal when they have one identity, one actor and one time.
    pub(crate) fn place(&self, row: usize, other: &Self, at: usize) -> Ordering {
        let service = |keys: &Self, row| keys.by_service.is_valid(row) && keys.by_service.value(row);
        service(self, row)
            .cmp(&service(other, at))
            .then_with(|| text(&self.actor, row).cmp(text(&other.actor, at)))
            .then_with(|| self.time.value(row).cmp(&other.time.value(at)))
            .then_with(|| text(&self.account, row).cmp(text(&other.account, at)))
            .then_with(|| text(&self.id, row).cmp(text(&other.id, at)))
    }

    /// The order of bodies.
    pub(crate) fn body(&self, row: usize, other: &Self, at: usize) -> Ordering {
        text(&self.json, row).cmp(text(&other.json, at))
    }

    /// The whole order: that of records, then bodies, then where they were delivered.
    pub(crate) fn compare(&self, row: usize, other: &Self, at: usize) -> Ordering {
        let index = |keys: &Self, row| keys.index.is_valid(row).then(|| keys.index.value(row));
        self.place(row, other, at)
            .then_with(|| self.body(row, other, at))
            .then_with(|| text(&self.object, row).cmp(text(&other.object, at)))
            .then_with(|| index(self, row).cmp(&index(other, at)))
    }
}

fn text(texts: &StringArray, row: usize) -> &str {
    if texts.is_valid(row) { texts.value(row) } else { "" }
}
