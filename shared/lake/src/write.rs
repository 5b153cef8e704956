//! What `ingest` writes: a hot file for each day of a batch.

use std::collections::BTreeMap;

use object_store::{ObjectStoreExt, PutPayload};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use trail::facts::Facts;
use trail::record::{digest, hex};

use crate::columns::{VERSION, VERSION_KEY};
use crate::error::Error;
use crate::layout::{Day, Lake};
use crate::rows;

/// What a batch brings, until it is written.
#[derive(Debug, Default)]
pub struct Hot {
    rows: Vec<Facts<'static>>,
    bytes: usize,
}

impl Hot {
    /// Takes up a record.
    pub fn push(&mut self, facts: &Facts<'_>) {
        self.bytes += facts.json.len();
        self.rows.extend(rows::facts(&rows::batch(&[facts]), &[0]));
    }

    /// About how much memory it takes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many records it holds.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

impl Lake {
    /// Writes what was gathered, a file a day.
    pub async fn write(&self, hot: Hot) -> Result<usize, Error> {
        self.write_hot(&hot.rows).await
    }

    /// Writes what a batch brought, one file for each day. The same records in the same order make the same file.
    pub async fn write_hot(&self, batch: &[Facts<'_>]) -> Result<usize, Error> {
        let mut days: BTreeMap<Day, Vec<&Facts<'_>>> = BTreeMap::new();
        for facts in batch {
            days.entry(Day::of(facts.event_time)).or_default().push(facts);
        }
        for (day, rows) in &days {
            let bytes = encode(rows)?;
            let name = hex(&digest(&bytes)[..16]);
            let path = self.hot(Some(*day)).join(format!("{name}.parquet"));
            let put = self.store.put(&path, PutPayload::from(bytes)).await;
            put.map_err(|error| Error::store(&path, error))?;
        }
        Ok(days.len())
    }
}

fn encode(rows: &[&Facts<'_>]) -> Result<Vec<u8>, Error> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::LZ4_RAW)
        .set_key_value_metadata(Some(vec![KeyValue::new(VERSION_KEY.to_owned(), VERSION.to_string())]))
        .build();
    let failed = |error| Error::file("a hot file", error);
    let mut writer = ArrowWriter::try_new(Vec::new(), rows::written(), Some(properties)).map_err(failed)?;
    writer.write(&rows::batch(rows)).map_err(failed)?;
    writer.into_inner().map_err(failed)
}
