//! How files of the lake are encoded: one table of settings a kind of file.

use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;

use crate::columns::{ALL, Column, Kind, VERSION, VERSION_KEY};
use crate::error::Error;
use crate::rows;

/// Rows of a row group of a part.
pub(crate) const GROUP_ROWS: usize = 32_768;

/// The metadata key of the hot files that a part has absorbed: their names without `.parquet`, a comma in between.
pub(crate) const ABSORBED_KEY: &str = "qtrail.absorbed";

/// What a file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Written at once and read a few times: quick to write, small even with few rows.
    Hot,
    /// Written to be kept and searched; `dense` where it is to stay for long.
    Part {
        /// Whether it is compressed as far as pays.
        dense: bool,
    },
    /// Rows that do not fit into memory while a part is made.
    Run,
}

/// A writer into memory.
pub(crate) fn writer<W: std::io::Write + Send>(purpose: Purpose, to: W) -> Result<ArrowWriter<W>, Error> {
    // Arrow's own copy of the schema says nothing that the file's schema does not.
    let options = ArrowWriterOptions::new().with_properties(properties(purpose)).with_skip_arrow_metadata(true);
    ArrowWriter::try_new_with_options(to, rows::written(), options).map_err(|error| Error::file("a new file", error))
}

fn properties(purpose: Purpose) -> WriterProperties {
    let base = WriterProperties::builder()
        .set_created_by("qtrail".to_owned())
        .set_max_row_group_row_count(None)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_key_value_metadata(Some(vec![KeyValue::new(VERSION_KEY.to_owned(), VERSION.to_string())]));
    let purposed = match purpose {
        Purpose::Hot | Purpose::Run => base.set_compression(Compression::LZ4_RAW),
        Purpose::Part { dense } => {
            base.set_compression(zstd(if dense { 14 } else { 3 })).set_data_page_row_count_limit(4096)
        }
    };
    ALL.into_iter().fold(purposed, |builder, column| of_column(builder, column, purpose)).build()
}

fn zstd(level: i32) -> Compression {
    Compression::ZSTD(ZstdLevel::try_new(level).unwrap_or_default())
}

fn of_column(builder: WriterPropertiesBuilder, column: Column, purpose: Purpose) -> WriterPropertiesBuilder {
    let path = path(column);
    let builder = match column.kind() {
        Kind::Time | Kind::Number => builder
            .set_column_dictionary_enabled(path.clone(), false)
            .set_column_encoding(path.clone(), Encoding::DELTA_BINARY_PACKED),
        // Values that hardly repeat. With the lengths apart, letters compress better.
        Kind::Text if is_unique(column) => builder
            .set_column_dictionary_enabled(path.clone(), false)
            .set_column_encoding(path.clone(), unique_encoding(column)),
        _ => builder,
    };
    let builder = match column {
        Column::Json => builder.set_column_data_page_size_limit(path.clone(), json_page(purpose)),
        _ => builder,
    };
    let builder = match (column, purpose) {
        (Column::Json, Purpose::Part { dense: true }) => builder.set_column_compression(path.clone(), zstd(12)),
        // Random digits: looking further for what repeats finds nothing, and costs bits.
        (Column::EventId | Column::RequestId | Column::SharedEventId, Purpose::Part { .. }) => {
            builder.set_column_compression(path.clone(), zstd(1))
        }
        _ => builder,
    };
    match purpose {
        Purpose::Part { .. } if is_searched(column) => {
            builder.set_column_statistics_enabled(path, EnabledStatistics::Page)
        }
        Purpose::Hot if column == Column::EventTime => {
            builder.set_column_statistics_enabled(path, EnabledStatistics::Chunk)
        }
        _ => builder,
    }
}

/// Whether a column's smallest and largest values tell where not to look. Those of lists hold everything in between.
fn is_searched(column: Column) -> bool {
    let is_other = matches!(column, Column::ErrorMessage | Column::SourceObject | Column::SourceIndex);
    !is_unique(column) && !is_other && column.kind() != Kind::Texts
}

fn is_unique(column: Column) -> bool {
    matches!(column, Column::EventId | Column::RequestId | Column::SharedEventId | Column::Json)
}

fn unique_encoding(column: Column) -> Encoding {
    match column {
        Column::Json => Encoding::PLAIN,
        _ => Encoding::DELTA_LENGTH_BYTE_ARRAY,
    }
}

/// A page of JSON is what has to be read for one record, and what repeats is found in: of days that are over, few
/// records are looked at.
fn json_page(purpose: Purpose) -> usize {
    match purpose {
        Purpose::Hot | Purpose::Run => 256 << 10,
        Purpose::Part { dense: false } => 1 << 20,
        Purpose::Part { dense: true } => 3 << 20,
    }
}

fn path(column: Column) -> ColumnPath {
    let parts: &[&str] = match column.kind() {
        Kind::Texts => &[column.name(), "list", "element"],
        _ => &[column.name()],
    };
    ColumnPath::new(parts.iter().map(|&part| part.to_owned()).collect())
}
