//! Which column of a file says what.

use super::{error::FileError, formats};
use crate::transfer::{Field, Format};

/// What a column says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    Is(Field),
    /// Not enabled, if this is its value. The other value says nothing: who was disabled here stays so.
    DisabledIf(bool),
    /// Revoked, if it has a value.
    RevokedAt,
}

/// Which columns of a file are taken, and for what.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    /// By their lengths, then by their bytes: they are looked for by that.
    columns: Vec<String>,
    /// The same, as headers are compared.
    plain: Vec<String>,
    /// Each with the place of its column. Where several say the same, the last that has a value counts.
    meanings: Vec<(usize, Meaning)>,
    /// Columns that are named as they are in the file, letter by letter.
    mapped: Vec<(Field, String)>,
    /// What members come from, unless a column says it.
    pub(super) source: &'static str,
}

impl Layout {
    pub(super) fn new(format: Format, map: &[(Field, String)]) -> Result<Self, FileError> {
        for (at, (field, _)) in map.iter().enumerate() {
            if map[..at].iter().any(|(other, _)| other == field) {
                return Err(FileError::FieldTwice { field: *field });
            }
        }
        let is_mapped = |meaning: Meaning| map.iter().any(|(field, _)| meaning == Meaning::Is(*field));
        let known = formats::columns(format)
            .iter()
            .filter(|(_, meaning)| !is_mapped(*meaning))
            .map(|(name, meaning)| ((*name).to_owned(), *meaning));
        let mapped = map
            .iter()
            .map(|(field, name)| (name.clone(), Meaning::Is(*field)));
        Ok(Self::of(
            &known.chain(mapped).collect::<Vec<_>>(),
            map.to_vec(),
            formats::source(format),
        ))
    }

    fn of(pairs: &[(String, Meaning)], mapped: Vec<(Field, String)>, source: &'static str) -> Self {
        let mut columns: Vec<String> = pairs.iter().map(|(name, _)| name.clone()).collect();
        columns.sort_unstable_by(|a, b| order(a, b));
        columns.dedup();
        let place = |name: &str| columns.binary_search_by(|column| order(column, name)).ok();
        let meanings = pairs
            .iter()
            .filter_map(|(name, meaning)| Some((place(name)?, *meaning)))
            .collect();
        Self {
            plain: columns.iter().map(|column| plain(column)).collect(),
            columns,
            meanings,
            mapped,
            source,
        }
    }

    /// The place of a column of JSON, which is named exactly so.
    pub(super) fn place(&self, name: &str) -> Option<usize> {
        self.columns.binary_search_by(|column| order(column, name)).ok()
    }

    /// How many columns are taken.
    pub(super) const fn len(&self) -> usize {
        self.columns.len()
    }

    /// The file's own name of a column.
    pub(super) fn name(&self, place: usize) -> &str {
        &self.columns[place]
    }

    /// What is to be taken from which place.
    pub(super) fn meanings(&self) -> &[(usize, Meaning)] {
        &self.meanings
    }

    /// The file's own name for a field, or ours if it has none.
    pub(super) fn column(&self, field: Field) -> &str {
        let mut told = self.meanings.iter().rev();
        let place = told.find(|(_, meaning)| *meaning == Meaning::Is(field));
        place.map_or(field.as_str(), |(place, _)| self.name(*place))
    }

    /// Whether this column of a header is taken.
    pub(super) fn knows(&self, header: &str) -> bool {
        self.said_by(header).next().is_some()
    }

    /// What a column of a header says. A name that was told is that of the file, letter by letter; those of a format are also found
    /// in capitals, and with spaces or hyphens between words.
    fn said_by<'a>(&'a self, header: &'a str) -> impl Iterator<Item = Meaning> + 'a {
        let plain = plain(header);
        self.meanings.iter().filter_map(move |(place, meaning)| {
            let name = self.name(*place);
            let is_mapped = self
                .mapped
                .iter()
                .any(|(field, told)| told == name && *meaning == Meaning::Is(*field));
            let is_it = if is_mapped {
                name == header
            } else {
                self.plain[*place] == plain
            };
            is_it.then_some(*meaning)
        })
    }

    /// The layout for a CSV with this header, by the names that stand in it, and for each place the cell of the row.
    pub(super) fn for_header(&self, header: &[String]) -> Result<(Self, Vec<usize>), FileError> {
        for (field, column) in &self.mapped {
            if !header.contains(column) {
                return Err(FileError::MissingColumn {
                    field: *field,
                    column: column.clone(),
                });
            }
        }
        let mut pairs = Vec::new();
        for (cell, name) in header.iter().enumerate() {
            let said: Vec<_> = self.said_by(name).collect();
            if !said.is_empty() && header[..cell].contains(name) {
                return Err(FileError::ColumnTwice { column: name.clone() });
            }
            pairs.extend(said.into_iter().map(|meaning| (name.clone(), meaning)));
        }
        // In the order in which the format has them, for which of them counts.
        let rank = |meaning: &Meaning| self.meanings.iter().position(|(_, known)| known == meaning);
        pairs.sort_by_key(|(_, meaning)| rank(meaning));
        let identifies = |(_, meaning): &(String, Meaning)| {
            matches!(meaning, Meaning::Is(Field::Email | Field::ExternalId))
        };
        if !pairs.iter().any(identifies) {
            return Err(FileError::NoColumn);
        }
        let layout = Self::of(&pairs, self.mapped.clone(), self.source);
        let cell = |name: &String| header.iter().position(|other| other == name);
        let cells = layout.columns.iter().filter_map(cell).collect();
        Ok((layout, cells))
    }
}

fn order(a: &str, b: &str) -> std::cmp::Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// The name of a column as formats have it: `Unique External ID` is `unique_external_id`.
pub(super) fn plain(name: &str) -> String {
    name.to_lowercase().replace([' ', '-'], "_")
}
