//! Who comes more than once in a file.

use std::collections::{BTreeMap, HashMap, hash_map::Entry};

use rusqlite::{Connection, params};
use sha2::{Digest as _, Sha256};

use super::Field;
use crate::domain::ImportRow;

/// Memory for what was seen, in KiB. What is more is in a file.
const CACHE_KIB: i64 = 2 * 1024;

/// The first bytes of a digest: enough to take no two for the same by accident. Of a hundred million, two are the same once in
/// hundreds of millions of files.
type Key = [u8; 10];

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
    /// In which record first, from 1.
    pub record: u64,
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
            "CREATE TABLE seen (digest BLOB PRIMARY KEY, record INTEGER NOT NULL) STRICT, WITHOUT ROWID;
             BEGIN",
        )?;
        Ok(Self { seen })
    }

    /// Whether each of these rows of these records has the address, or the id of the source, of one that was seen before.
    /// Remembers the address of one that has not, and the id of one that has neither. The more rows at once, the less the
    /// file is read and written.
    ///
    /// # Errors
    ///
    /// There is no room in memory, or on the disk.
    pub fn see(
        &mut self,
        records: &[u64],
        rows: &[ImportRow],
    ) -> Result<Vec<Option<Repeat>>, rusqlite::Error> {
        let mut new = BTreeMap::<Key, u64>::new();
        for (record, row) in records.iter().zip(rows) {
            for (key, _) in keys(row) {
                new.entry(key).or_insert(*record);
            }
        }
        // In the order of the keys, each page is looked at once.
        let mut seen = HashMap::with_capacity(new.len());
        for (key, record) in &new {
            if let Some(record) = self.add(key, *record)? {
                seen.insert(*key, record);
            }
        }
        new.retain(|key, _| !seen.contains_key(key));
        let repeats = records.iter().zip(rows).map(|(record, row)| {
            let mut repeats = keys(row).filter_map(|(key, field)| match seen.entry(key) {
                Entry::Occupied(first) => Some(Repeat {
                    field,
                    record: *first.get(),
                }),
                Entry::Vacant(none) => {
                    none.insert(*record);
                    None
                }
            });
            repeats.next()
        });
        let repeats = repeats.collect();
        // The first row that has it may have been a repeat itself.
        for (key, record) in new {
            let first = seen.get(&key).copied();
            if first != Some(record) {
                self.correct(&key, first)?;
            }
        }
        Ok(repeats)
    }

    /// Adds it, unless it is there: then this is its record.
    fn add(&self, key: &Key, record: u64) -> Result<Option<u64>, rusqlite::Error> {
        let add = "INSERT INTO seen (digest, record) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
        if self
            .seen
            .prepare_cached(add)?
            .execute(params![key, column(record)])?
            == 1
        {
            return Ok(None);
        }
        let find = "SELECT record FROM seen WHERE digest = ?1";
        let first: i64 = self
            .seen
            .prepare_cached(find)?
            .query_row(params![key], |row| row.get(0))?;
        Ok(u64::try_from(first).ok())
    }

    fn correct(&self, key: &Key, record: Option<u64>) -> Result<(), rusqlite::Error> {
        match record {
            Some(record) => self
                .seen
                .prepare_cached("UPDATE seen SET record = ?2 WHERE digest = ?1")?
                .execute(params![key, column(record)])?,
            None => self
                .seen
                .prepare_cached("DELETE FROM seen WHERE digest = ?1")?
                .execute(params![key])?,
        };
        Ok(())
    }
}

fn column(record: u64) -> i64 {
    i64::try_from(record).unwrap_or(i64::MAX)
}

/// By what a row is known again.
fn keys(row: &ImportRow) -> impl Iterator<Item = (Key, Field)> {
    let email = row.values.email.as_ref().and_then(Option::as_ref);
    let email = email.map(|email| (key(&[email.as_str()]), Field::Email));
    let (source, id) = (&row.origin.source, row.origin.external_id.as_ref());
    let id = id.map(|id| (key(&[source.as_str(), id.as_str()]), Field::ExternalId));
    email.into_iter().chain(id)
}

fn key(texts: &[&str]) -> Key {
    let mut digest = Sha256::new();
    for text in texts {
        digest.update(text);
        // No text has it.
        digest.update([0]);
    }
    let digest = digest.finalize();
    std::array::from_fn(|byte| digest[byte])
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
    fn who_comes_twice_is_found_with_the_first_record() {
        let mut repeats = Repeats::new().unwrap();
        let mut see = |record, row| repeats.see(&[record], &[row]).unwrap()[0];
        let repeat = |field, record| Some(Repeat { field, record });
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

    /// However many are seen at once.
    #[test]
    fn what_only_a_repeat_has_is_new() {
        let records: Vec<_> = (2..10).collect();
        let rows: Vec<_> = [
            ("a@x.example", "1"),
            // By its address: its id is nobody's.
            ("a@x.example", "2"),
            ("b@x.example", "2"),
            ("c@x.example", "2"),
            // By its id: its address is taken.
            ("c@x.example", "3"),
            ("a@x.example", "4"),
            ("d@x.example", "4"),
            ("e@x.example", "4"),
        ]
        .into_iter()
        .map(|(email, id)| row(Some(email), "zendesk", Some(id)))
        .collect();
        let repeat = |field, record| Some(Repeat { field, record });
        let expected = [
            None,
            repeat(Field::Email, 2),
            None,
            repeat(Field::ExternalId, 4),
            repeat(Field::Email, 5),
            repeat(Field::Email, 2),
            None,
            repeat(Field::ExternalId, 8),
        ];
        for at_once in 1..=8 {
            let mut repeats = Repeats::new().unwrap();
            let parts = records.chunks(at_once).zip(rows.chunks(at_once));
            let found: Vec<_> = parts
                .flat_map(|(records, rows)| repeats.see(records, rows).unwrap())
                .collect();
            assert_eq!(found, expected, "{at_once} at once");
            // The records are remembered, too.
            let found = repeats.see(&records[7..], &rows[7..]).unwrap();
            assert_eq!(found, [repeat(Field::Email, 9)]);
        }
    }
}
