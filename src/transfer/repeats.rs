//! Who comes more than once in a file.

use rusqlite::{Connection, params};
use sha2::{Digest as _, Sha256};

use super::Field;
use crate::domain::ImportRow;

/// Memory for what was seen, in KiB. What is more is in a file.
const CACHE_KIB: i64 = 8 * 1024;

/// The first bytes of a digest: enough to take no two for the same by accident.
const DIGEST: usize = 16;

/// Addresses and external ids that were seen, however many. They are in a database of SQLite's that is in memory until it is too
/// large, then in a file in the folder for temporary ones, which is gone with this.
pub struct Repeats {
    seen: Connection,
}

/// Where somebody was seen before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeat {
    /// By which they are the same.
    pub field: Field,
    /// Of the first record.
    pub line: u64,
}

impl Repeats {
    /// # Errors
    ///
    /// There was no memory.
    pub fn new() -> Result<Self, rusqlite::Error> {
        // Without a name it is a temporary one (sqlite.org/inmemorydb.html, "Temporary Databases").
        let seen = Connection::open("")?;
        seen.pragma_update(None, "cache_size", -CACHE_KIB)?;
        seen.pragma_update(None, "journal_mode", "OFF")?;
        seen.pragma_update(None, "synchronous", "OFF")?;
        seen.execute_batch(
            "CREATE TABLE seen (digest BLOB PRIMARY KEY, line INTEGER NOT NULL) STRICT, WITHOUT ROWID;
             BEGIN",
        )?;
        Ok(Self { seen })
    }

    /// Whether somebody has the address, or the id of the source, who was seen before. Remembers both if not.
    ///
    /// # Errors
    ///
    /// There is no room in memory, or on the disk.
    pub fn see(&mut self, line: u64, row: &ImportRow) -> Result<Option<Repeat>, rusqlite::Error> {
        let email = row.values.email.as_ref().and_then(Option::as_ref);
        if let Some(email) = email
            && let Some(line) = self.first(line, &[email.as_str()])?
        {
            let field = Field::Email;
            return Ok(Some(Repeat { field, line }));
        }
        if let Some(id) = &row.origin.external_id
            && let Some(line) = self.first(line, &[row.origin.source.as_str(), id.as_str()])?
        {
            let field = Field::ExternalId;
            return Ok(Some(Repeat { field, line }));
        }
        Ok(None)
    }

    /// The line at which these texts were seen first, if it was another one.
    fn first(&mut self, line: u64, texts: &[&str]) -> Result<Option<u64>, rusqlite::Error> {
        let mut digest = Sha256::new();
        for text in texts {
            digest.update(text);
            // No text has it.
            digest.update([0]);
        }
        let digest = &digest.finalize()[..DIGEST];
        let add = "INSERT INTO seen (digest, line) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
        let line = i64::try_from(line).unwrap_or(i64::MAX);
        if self.seen.prepare_cached(add)?.execute(params![digest, line])? == 1 {
            return Ok(None);
        }
        let mut find = self
            .seen
            .prepare_cached("SELECT line FROM seen WHERE digest = ?1")?;
        let first: i64 = find.query_row(params![digest], |row| row.get(0))?;
        Ok(u64::try_from(first).ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Email, ExternalId, Origin, Source};

    fn row(email: Option<&str>, source: &str, id: Option<&str>) -> ImportRow {
        let mut row = ImportRow {
            origin: Origin {
                source: Source::new(source).unwrap(),
                external_id: id.map(|id| ExternalId::new(id).unwrap()),
            },
            ..ImportRow::default()
        };
        row.values.email = email.map(|email| Some(Email::new(email).unwrap()));
        row
    }

    #[test]
    fn who_comes_twice_is_found_with_the_first_line() {
        let mut repeats = Repeats::new().unwrap();
        let mut see = |line, row| repeats.see(line, &row).unwrap();
        let repeat = |field, line| Some(Repeat { field, line });
        assert_eq!(see(2, row(Some("a@x.example"), "zendesk", Some("1"))), None);
        assert_eq!(see(3, row(Some("A@x.example"), "import", Some("1"))), None);
        assert_eq!(see(4, row(None, "zendesk", Some("2"))), None);
        assert_eq!(
            see(5, row(Some("a@x.example"), "zendesk", Some("3"))),
            repeat(Field::Email, 2)
        );
        assert_eq!(
            see(6, row(Some("b@x.example"), "zendesk", Some("2"))),
            repeat(Field::ExternalId, 4)
        );
        assert_eq!(see(7, row(None, "zendeskx", Some("2"))), None);
    }
}
