//! Texts that were read before, kept in memory: SQLite asks the system for each of their pages by itself, which takes longer than
//! looking at them.
//!
//! The database counts how often the texts of a span were written. Those that are kept are used only while that is as it was, so
//! nothing is found that is not in the file, whichever program wrote there.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use moka::sync::Cache;
use sqlx::{Row as _, SqliteConnection};
use tokio::task::yield_now;

use super::texts::BLOCKS;
use crate::storage::{Result, sqlite::rows};

/// About how much is kept, in bytes: the texts of a million members.
const CAPACITY: u64 = 64 * 1024 * 1024;

/// What an entry takes beside its texts, in bytes, by estimate.
const ENTRY: usize = 256;

/// After so many spans others have their turn: to look at these takes as long as some requests.
const TURN: i64 = 16;

/// By the key of a span: that of its blocks, divided by how many it has.
pub(in crate::storage::sqlite) struct KeptTexts(Cache<i64, Kept>);

/// What was read of a span, and at which version.
#[derive(Clone)]
struct Kept {
    version: i64,
    lines: Arc<[u8]>,
}

impl Default for KeptTexts {
    fn default() -> Self {
        let weight = |_: &i64, kept: &Kept| u32::try_from(kept.lines.len() + ENTRY).unwrap_or(u32::MAX);
        Self(Cache::builder().max_capacity(CAPACITY).weigher(weight).build())
    }
}

impl KeptTexts {
    /// Sees the texts of each of these spans, those that are kept first. It is to be called in a transaction.
    pub(super) async fn each(
        &self,
        connection: &mut SqliteConnection,
        spans: Range<i64>,
        mut see: impl FnMut(i64, &[u8]),
    ) -> Result<()> {
        let versions = versions(&mut *connection, &spans).await?;
        let version_of = |span| versions.get(&span).copied().unwrap_or_default();
        let mut missing = Vec::new();
        for span in spans {
            match self.0.get(&span) {
                Some(kept) if kept.version == version_of(span) => {
                    see(span, &kept.lines);
                    if span % TURN == 0 {
                        yield_now().await;
                    }
                }
                _ => missing.push(span),
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        // SQLite hands over the blocks of a span as one: each row costs as much as looking at thousands of characters.
        let query = sqlx::query(
            "SELECT value AS span, CAST((
                 SELECT group_concat(lines, '') FROM member_texts
                 WHERE block >= value * $2 AND block < (value + 1) * $2
             ) AS BLOB) AS lines
             FROM json_each($1)",
        );
        let missing = serde_json::Value::from(missing).to_string();
        rows::each(connection, query.bind(missing).bind(BLOCKS), |row| {
            let (span, lines): (i64, Option<&[u8]>) = (row.try_get("span")?, row.try_get("lines")?);
            let lines = lines.unwrap_or_default();
            see(span, lines);
            let version = version_of(span);
            self.0.insert(
                span,
                Kept {
                    version,
                    lines: lines.into(),
                },
            );
            Ok(())
        })
        .await
    }
}

/// Of those of these spans that have any.
async fn versions(connection: &mut SqliteConnection, spans: &Range<i64>) -> Result<BTreeMap<i64, i64>> {
    let query = sqlx::query("SELECT span, version FROM member_text_versions WHERE span >= $1 AND span < $2");
    let mut versions = BTreeMap::new();
    rows::each(connection, query.bind(spans.start).bind(spans.end), |row| {
        versions.insert(row.try_get("span")?, row.try_get("version")?);
        Ok(())
    })
    .await?;
    Ok(versions)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use sqlx::{AssertSqlSafe, Connection as _};

    use super::*;
    use crate::storage::{Migrate, connect};

    async fn seen(connection: &mut SqliteConnection, texts: &KeptTexts) -> Vec<(i64, String)> {
        let mut seen = Vec::new();
        let see = |span, lines: &[u8]| seen.push((span, String::from_utf8(lines.to_vec()).unwrap()));
        texts.each(connection, 3..6, see).await.unwrap();
        seen
    }

    #[tokio::test]
    async fn texts_are_read_again_only_if_they_were_written_since() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("users.db").display());
        connect(&url, Migrate::Always).await.unwrap().close().await;
        let mut connection = SqliteConnection::connect(&url).await.unwrap();
        let texts = KeptTexts::default();
        let all =
            |texts: [&str; 3]| -> BTreeMap<i64, String> { (3..).zip(texts.map(str::to_owned)).collect() };
        let insert = "INSERT INTO member_texts (block, lines)";
        let triggers =
            ["put", "changed", "moved", "removed"].map(|when| format!("DROP TRIGGER member_texts_{when};"));
        for (statement, expected) in [
            (
                format!("{insert} VALUES (47, x'61'), (64, x'62'), (95, x'63'), (96, x'64')"),
                ["", "b", "c"],
            ),
            (format!("{insert} VALUES (79, x'65')"), ["", "be", "c"]),
            (
                "UPDATE member_texts SET lines = x'66' WHERE block = 95".to_owned(),
                ["", "be", "f"],
            ),
            (
                "UPDATE member_texts SET block = 50 WHERE block = 95".to_owned(),
                ["f", "be", ""],
            ),
            (
                "UPDATE member_texts SET block = 95 WHERE block = 50".to_owned(),
                ["", "be", "f"],
            ),
            (
                "DELETE FROM member_texts WHERE block = 64".to_owned(),
                ["", "e", "f"],
            ),
            // Nobody is told.
            (triggers.concat() + "DELETE FROM member_texts", ["", "e", "f"]),
            (
                "UPDATE member_text_versions SET version = version + 1 WHERE span = 5".to_owned(),
                ["", "e", ""],
            ),
        ] {
            sqlx::raw_sql(AssertSqlSafe(statement.clone()))
                .execute(&mut connection)
                .await
                .unwrap();
            for _ in 0..2 {
                let seen = seen(&mut connection, &texts).await;
                assert_eq!(seen.len(), 3, "{statement}");
                assert_eq!(BTreeMap::from_iter(seen), all(expected), "{statement}");
            }
        }
    }
}
