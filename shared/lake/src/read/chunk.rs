//! Columns of one row group: which bytes they are, and their values.

use std::ops::Range;
use std::sync::{Arc, LazyLock};

use arrow_array::RecordBatch;
use arrow_schema::{DataType, Field, Fields};
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, RowGroups, RowSelection};
use parquet::arrow::{ProjectionMask, parquet_to_arrow_field_levels, parquet_to_arrow_schema};
use parquet::column::page::{PageIterator, PageReader};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::page_index::offset_index::PageLocation;
use parquet::file::reader::SerializedPageReader;

use super::footer::Footer;
use super::source::Pieces;
use crate::columns::{ALL, Column, Kind, schema};

/// One row group of a file.
#[derive(Debug, Clone)]
pub(super) struct Chunk {
    pub(super) footer: Arc<Footer>,
    pub(super) group: usize,
}

/// In what shape texts are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// As the file has them: each distinct text once, and which row has which.
    Distinct,
    /// A text for each row.
    Plain,
}

/// Rows of a row group, and how they are got.
#[derive(Debug, Clone)]
pub(super) enum Rows {
    /// All of them are decoded.
    All,
    /// These alone, page by page.
    These(RowSelection),
}

impl Rows {
    /// The cheaper way to `rows` of `total`. Rows that lie close together cost more to pick out than to decode.
    pub(super) fn of(rows: &[u32], total: usize) -> Self {
        if (2 * rows.len() + 1) * 40 > total {
            return Self::All;
        }
        let ranges = rows.iter().map(|row| *row as usize..*row as usize + 1);
        Self::These(RowSelection::from_consecutive_ranges(ranges, total))
    }

    /// Where each of the rows stands in what is decoded this way.
    pub(super) fn places<'r>(&self, rows: &'r [u32]) -> impl Iterator<Item = (usize, u32)> + use<'r> {
        let is_all = matches!(self, Self::All);
        rows.iter().enumerate().map(move |(at, row)| (if is_all { *row as usize } else { at }, *row))
    }
}

impl Chunk {
    /// How many rows it has.
    pub(super) fn rows(&self) -> usize {
        self.footer.rows(self.group)
    }

    /// Those of the columns that the file has.
    pub(super) fn present(&self, columns: impl IntoIterator<Item = Column>) -> Vec<Column> {
        let mut columns: Vec<Column> = columns.into_iter().filter(|one| self.footer.leaf(*one).is_some()).collect();
        columns.sort_unstable();
        columns.dedup();
        columns
    }

    /// Where the columns' bytes lie.
    pub(super) fn ranges(&self, columns: &[Column], rows: &Rows) -> Vec<Range<u64>> {
        let leaves = columns.iter().filter_map(|column| self.footer.leaf(*column));
        leaves.flat_map(|leaf| self.leaf_ranges(leaf, rows)).collect()
    }

    fn leaf_ranges(&self, leaf: usize, rows: &Rows) -> Vec<Range<u64>> {
        let (start, length) = self.row_group().column(leaf).byte_range();
        let whole = start..start.saturating_add(length);
        let (Rows::These(selection), Some(pages)) = (rows, self.pages(leaf)) else { return vec![whole] };
        let first = pages.first().and_then(|page| u64::try_from(page.offset).ok()).unwrap_or(start);
        let dictionary = (start < first).then_some(start..first);
        dictionary.into_iter().chain(selection.scan_ranges(&pages)).collect()
    }

    /// The columns' values. `pieces` have to hold what [`Chunk::ranges`] names.
    pub(super) fn decode(
        &self,
        pieces: &Arc<Pieces>,
        columns: &[Column],
        shape: Shape,
        rows: &Rows,
    ) -> Result<RecordBatch, ParquetError> {
        let of_file = self.metadata().file_metadata().schema_descr();
        let leaves = columns.iter().filter_map(|column| self.footer.leaf(*column));
        let hint = match shape {
            Shape::Distinct => Some(self.hint()?),
            Shape::Plain => None,
        };
        let levels = parquet_to_arrow_field_levels(of_file, ProjectionMask::leaves(of_file, leaves), hint.as_ref())?;
        let selection = match rows {
            Rows::All => None,
            Rows::These(selection) => Some(selection.clone()),
        };
        let wanted = selection.as_ref().map_or(self.rows(), RowSelection::row_count);
        let view = View { chunk: self.clone(), pieces: pieces.clone() };
        let mut batches = ParquetRecordBatchReader::try_new_with_row_groups(&levels, &view, wanted.max(1), selection)?;
        match batches.next() {
            Some(batch) => match batch {
                Ok(batch) if batch.num_rows() == wanted => Ok(batch),
                Ok(batch) => Err(ParquetError::EOF(format!("{} of {wanted} rows are there", batch.num_rows()))),
                Err(error) => Err(error.into()),
            },
            None if wanted == 0 => Ok(RecordBatch::new_empty(batches_schema(&batches))),
            None => Err(ParquetError::EOF("its rows are not there".to_owned())),
        }
    }

    /// What texts are read as. Files of the current schema, as most are, share one answer.
    fn hint(&self) -> Result<Fields, ParquetError> {
        static OURS: LazyLock<Fields> = LazyLock::new(|| distinct(&schema().fields));
        let of_file = self.metadata().file_metadata().schema_descr();
        let roots = of_file.root_schema().get_fields();
        if roots.len() == ALL.len() && roots.iter().zip(ALL).all(|(root, column)| root.name() == column.name()) {
            return Ok(OURS.clone());
        }
        Ok(distinct(&parquet_to_arrow_schema(of_file, None)?.fields))
    }

    fn metadata(&self) -> &ParquetMetaData {
        &self.footer.metadata
    }

    pub(super) fn row_group(&self) -> &RowGroupMetaData {
        self.metadata().row_group(self.group)
    }

    fn pages(&self, leaf: usize) -> Option<Vec<PageLocation>> {
        self.metadata().page_index()?.page_locations(self.group, leaf).cloned()
    }
}

fn batches_schema(batches: &ParquetRecordBatchReader) -> arrow_schema::SchemaRef {
    arrow_array::RecordBatchReader::schema(batches)
}

/// The same fields, with the texts of columns that repeat them as dictionaries.
fn distinct(fields: &Fields) -> Fields {
    let dictionary = || DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let field = |field: &Arc<Field>| {
        let column = crate::columns::ALL.into_iter().find(|column| column.name() == field.name());
        let data_type = match (column.map(Column::kind), field.data_type()) {
            (Some(Kind::Text), DataType::Utf8) if column.is_some_and(repeats) => dictionary(),
            (Some(Kind::Texts), DataType::List(element))
                if *element.data_type() == DataType::Utf8 && column.is_some_and(repeats) =>
            {
                DataType::List(Arc::new(element.as_ref().clone().with_data_type(dictionary())))
            }
            (_, data_type) => data_type.clone(),
        };
        field.as_ref().clone().with_data_type(data_type)
    };
    fields.iter().map(field).collect()
}

/// Whether a column's texts come again and again.
pub(super) const fn repeats(column: Column) -> bool {
    use Column as C;
    !matches!(column, C::EventId | C::RequestId | C::SharedEventId | C::ErrorMessage | C::SourceObject | C::Json)
}

/// A row group as the decoder wants to see it.
struct View {
    chunk: Chunk,
    pieces: Arc<Pieces>,
}

impl RowGroups for View {
    fn num_rows(&self) -> usize {
        self.chunk.rows()
    }

    fn column_chunks(&self, leaf: usize) -> Result<Box<dyn PageIterator>, ParquetError> {
        let column = self.chunk.row_group().column(leaf);
        let pages = self.chunk.pages(leaf);
        let reader = SerializedPageReader::new(self.pieces.clone(), column, self.chunk.rows(), pages)?;
        Ok(Box::new(One(Some(Box::new(reader)))))
    }

    fn row_groups(&self) -> Box<dyn Iterator<Item = &RowGroupMetaData> + '_> {
        Box::new(std::iter::once(self.chunk.row_group()))
    }

    fn metadata(&self) -> &ParquetMetaData {
        self.chunk.metadata()
    }
}

/// The pages of one column of one row group.
struct One(Option<Box<dyn PageReader>>);

impl Iterator for One {
    type Item = Result<Box<dyn PageReader>, ParquetError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.take().map(Ok)
    }
}

impl PageIterator for One {}
