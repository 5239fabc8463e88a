//! What became of the rows.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use serde_json::json;

use crate::{
    cli::{
        CliError,
        error::ImportError,
        output,
        table::{Columns, Table},
    },
    transfer::{Place, Rejections, is_list_of_rejections},
};

/// What a flaw is about, and what is wrong with it: at first a field, then a column. Empty: the row as a whole.
pub(super) type Named = (String, String);

/// What became of a row that was good as far as the file goes.
pub(super) enum Outcome {
    Created,
    Updated,
    Unchanged,
    Rejected(Vec<Named>),
}

/// Whether a list of an earlier import is there. A pipe or a device is not opened: nobody may ever write to it.
pub(super) fn is_list(path: &Path) -> bool {
    path.is_file() && File::open(path).is_ok_and(is_list_of_rejections)
}

/// How many became what, and the list of those that were not taken.
pub(super) struct Summary {
    created: u64,
    updated: u64,
    unchanged: u64,
    rejected: u64,
    path: PathBuf,
    /// None until there is one.
    list: Option<Rejections<File>>,
}

impl Summary {
    pub(super) const fn new(path: PathBuf) -> Self {
        Self {
            created: 0,
            updated: 0,
            unchanged: 0,
            rejected: 0,
            path,
            list: None,
        }
    }

    pub(super) const fn count(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Created => self.created += 1,
            Outcome::Updated => self.updated += 1,
            Outcome::Unchanged => self.unchanged += 1,
            Outcome::Rejected(_) => self.rejected += 1,
        }
    }

    /// Adds rows to the list, in the order of the file.
    pub(super) fn reject(&mut self, mut rows: Vec<(Place, Vec<Named>)>) -> Result<(), ImportError> {
        rows.sort_by_key(|(place, _)| place.record);
        for (place, flaws) in rows {
            self.rejected += 1;
            self.list_flaws(place, &flaws)
                .map_err(|error| ImportError::List {
                    path: self.path.clone(),
                    error,
                })?;
        }
        Ok(())
    }

    fn list_flaws(&mut self, place: Place, flaws: &[Named]) -> io::Result<()> {
        let list = match &mut self.list {
            Some(list) => list,
            none => none.insert(Rejections::new(File::create(&self.path)?)?),
        };
        for (column, reason) in flaws {
            list.add(place, column, reason)?;
        }
        Ok(())
    }

    pub(super) const fn rejected(&self) -> u64 {
        self.rejected
    }

    pub(super) const fn rows(&self) -> u64 {
        self.created + self.updated + self.unchanged + self.rejected
    }

    /// The same, where nothing of it was done.
    pub(super) fn without_changes(self) -> Self {
        Self {
            created: 0,
            updated: 0,
            unchanged: 0,
            ..self
        }
    }

    /// Prints the numbers. A list of an earlier import is removed, if there is none of this one.
    pub(super) fn say(&mut self, json: bool, dry_run: bool) -> Result<(), CliError> {
        let rows = [
            ("created", self.created),
            ("updated", self.updated),
            ("unchanged", self.unchanged),
            ("rejected", self.rejected),
        ];
        let list = if let Some(list) = self.list.take() {
            list.finish()?;
            Some(self.path.display().to_string())
        } else {
            // Whatever else is there is not ours to remove.
            if is_list(&self.path) {
                fs::remove_file(&self.path)?;
            }
            None
        };
        if json {
            let mut object: serde_json::Map<_, _> = rows
                .into_iter()
                .map(|(name, rows)| (name.to_owned(), json!(rows)))
                .collect();
            object.insert("dry_run".to_owned(), json!(dry_run));
            object.insert("list".to_owned(), json!(list));
            return output::json(&object);
        }
        let mut table = Table::new();
        for (name, rows) in rows {
            let rows = rows.to_string();
            let columns: Columns<'_> = vec![("ROWS", name), ("NUMBER", &rows)];
            table.push(&columns)?;
        }
        Ok(table.flush()?)
    }

    /// # Errors
    ///
    /// Rows were not taken.
    pub(super) fn end(&self) -> Result<(), CliError> {
        if self.rejected == 0 {
            return Ok(());
        }
        let rows = match self.rejected {
            1 => "1 row was".to_owned(),
            rows => format!("{rows} rows were"),
        };
        let path = self.path.display();
        Err(CliError::Rejected(format!("{rows} not taken: {path} says why")))
    }
}
