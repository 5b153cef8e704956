//! Parts as the lake lays them out, in any size of row groups and pages.

use std::sync::Arc;

use arrow_array::builder::{BooleanBuilder, Int32Builder, ListBuilder, StringBuilder, TimestampMillisecondBuilder};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field};
use bytes::Bytes;
use lake::columns::{ALL, Column, Kind, schema};
use lake::keys::{Builder, identity};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use trail::facts::Facts;

/// How a part is laid out.
pub(crate) struct Layout {
    pub(crate) rows_a_group: usize,
    pub(crate) rows_a_page: usize,
    pub(crate) absorbed: Vec<String>,
    /// Whether a key file is written beside it.
    pub(crate) keys: bool,
    /// The schema's version; none is written where it is empty.
    pub(crate) version: String,
}

impl Layout {
    /// Few rows, many groups and pages.
    pub(crate) fn small() -> Self {
        Self { rows_a_group: 16, rows_a_page: 4, absorbed: Vec::new(), keys: true, version: "1".to_owned() }
    }
}

/// The bytes of a part of these rows, sorted as parts are, and its keys.
pub(crate) fn part(rows: &mut [Facts<'_>], layout: &Layout) -> (Bytes, Builder) {
    rows.sort_by(|a, b| {
        let place = |facts: &Facts<'_>| (facts.by_service, facts.event_time);
        (a.by_service, &a.actor_name, place(a))
            .cmp(&(b.by_service, &b.actor_name, place(b)))
            .then_with(|| (&a.account, &a.event_id).cmp(&(&b.account, &b.event_id)))
    });
    let mut about = vec![KeyValue::new(
        "qtrail.absorbed".to_owned(),
        layout.absorbed.iter().map(|name| name.strip_suffix(".parquet").unwrap_or(name)).collect::<Vec<_>>().join(","),
    )];
    if !layout.version.is_empty() {
        about.push(KeyValue::new("qtrail.schema".to_owned(), layout.version.clone()));
    }
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3).expect("a level")))
        .set_max_row_group_row_count(Some(layout.rows_a_group))
        .set_data_page_row_count_limit(layout.rows_a_page)
        .set_write_batch_size(layout.rows_a_page.min(1024))
        .set_key_value_metadata(Some(about))
        .build();
    let mut writer = ArrowWriter::try_new(Vec::new(), Arc::new(schema()), Some(properties)).expect("a writer");
    let mut keys = Builder::default();
    for (group, rows) in rows.chunks(layout.rows_a_group).enumerate() {
        let batch = batch(rows);
        keys.batch(group, &batch);
        writer.write(&batch).expect("written");
    }
    (writer.into_inner().expect("finished").into(), keys)
}

/// Writes one, and gives back its bytes.
pub(crate) async fn write_part(store: &Arc<dyn ObjectStore>, path: &str, rows: &[Facts<'_>], layout: &Layout) -> Bytes {
    let (bytes, keys) = part(&mut rows.to_vec(), layout);
    let put = store.put(&Path::from(path), PutPayload::from(bytes.clone())).await.expect("stored");
    if layout.keys {
        let keys = keys.finish(identity(bytes.len() as u64, put.e_tag.as_deref()));
        let path = path.replace("records/", "keys/").replace(".parquet", ".keys");
        store.put(&Path::from(path), PutPayload::from(keys)).await.expect("stored");
    }
    bytes
}

fn batch(rows: &[Facts<'_>]) -> RecordBatch {
    let columns: Vec<ArrayRef> = ALL.iter().map(|column| array(*column, rows)).collect();
    RecordBatch::try_new(Arc::new(schema()), columns).expect("the lake's schema")
}

fn array(column: Column, rows: &[Facts<'_>]) -> ArrayRef {
    match column.kind() {
        Kind::Time => {
            let mut times = TimestampMillisecondBuilder::new().with_timezone("UTC");
            rows.iter().for_each(|facts| times.append_value(facts.event_time.0 * 1000));
            Arc::new(times.finish())
        }
        Kind::Number => {
            let mut numbers = Int32Builder::new();
            rows.iter().for_each(|facts| numbers.append_value(i32::try_from(facts.source_index).expect("small")));
            Arc::new(numbers.finish())
        }
        Kind::Flag => {
            let mut flags = BooleanBuilder::new();
            rows.iter().for_each(|facts| flags.append_option(column.flag(facts)));
            Arc::new(flags.finish())
        }
        Kind::Text => {
            let required = matches!(column, Column::EventId | Column::Account);
            let mut texts = StringBuilder::new();
            rows.iter().for_each(|facts| {
                texts.append_option(Some(column.text(facts)).filter(|text| required || !text.is_empty()));
            });
            Arc::new(texts.finish())
        }
        Kind::Texts => {
            let mut lists =
                ListBuilder::new(StringBuilder::new()).with_field(Field::new("element", DataType::Utf8, false));
            for facts in rows {
                column.texts(facts).for_each(|text| lists.values().append_value(text));
                lists.append(true);
            }
            Arc::new(lists.finish())
        }
    }
}

/// Rows as they are sealed for a hot file.
pub(crate) fn sealed(rows: &[Facts<'_>]) -> lake::Sealed {
    let mut hot = lake::Hot::default();
    rows.iter().for_each(|facts| hot.push(facts));
    hot.seal().expect("sealed")
}
