//! One end of a copy.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::{AssertSqlSafe, Connection as _, QueryBuilder, Row as _, query::Query};
use tokio::time::timeout;
use uuid::Uuid;

use super::{
    Arguments, Db, Row as DbRow,
    copied::{self, Connection},
    error::store_error,
};
use crate::{
    domain::Outage,
    storage::{
        Result, StoreError,
        copy::{End, Kind, MARK, Row, STEP, Table, Value},
    },
};

/// How long some rows may take to be read or written. Longer, and the other side is taken for gone.
const PATIENCE: Duration = Duration::from_mins(1);

/// How long it may take to count the rows of a table, and to derive what is derived from all of them.
const LONG_PATIENCE: Duration = Duration::from_mins(60);

/// A database at one end of a copy, by a connection of its own.
pub(super) struct CopyEnd {
    pub(super) connection: Connection,
}

async fn in_time<T>(patience: Duration, answer: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T> {
    match timeout(patience, answer).await {
        Ok(answer) => answer.map_err(store_error),
        Err(_) => Err(StoreError::Unavailable(Outage::Unreachable)),
    }
}

/// The values of a row by the names of their columns.
fn row(row: &DbRow, columns: &[(&str, Kind)]) -> Result<Row, sqlx::Error> {
    let value = |(name, kind): &(&str, Kind)| {
        Ok(match kind {
            Kind::Uuid => Value::Uuid(row.try_get(*name)?),
            Kind::Text => Value::Text(row.try_get(*name)?),
            Kind::Integer => Value::Integer(row.try_get(*name)?),
            Kind::Bool => Value::Bool(row.try_get(*name)?),
            Kind::Bytes => Value::Bytes(row.try_get(*name)?),
        })
    };
    columns.iter().map(value).collect()
}

fn bind<'q>(statement: Query<'q, Db, Arguments>, values: &[Value]) -> Query<'q, Db, Arguments> {
    values
        .iter()
        .cloned()
        .fold(statement, |statement, value| match value {
            Value::Uuid(id) => statement.bind(id),
            Value::Text(text) => statement.bind(text),
            Value::Integer(number) => statement.bind(number),
            Value::Bool(is) => statement.bind(is),
            Value::Bytes(bytes) => statement.bind(bytes),
        })
}

/// Adds rows, with the values of the columns that this engine alone has.
fn insert(table: &Table, rows: &[Row], more: &[&str], values: &[Row]) -> QueryBuilder<Db> {
    let mut names = vec![table.names()];
    names.extend(more.iter().map(|name| (*name).to_owned()));
    let mut sql = QueryBuilder::new(format!("INSERT INTO {} ({}) ", table.name, names.join(", ")));
    sql.push_values(rows.iter().enumerate(), |mut tuple, (index, row)| {
        for value in row.iter().chain(values.get(index).into_iter().flatten()).cloned() {
            match value {
                Value::Uuid(id) => tuple.push_bind(id),
                Value::Text(text) => tuple.push_bind(text),
                Value::Integer(number) => tuple.push_bind(number),
                Value::Bool(is) => tuple.push_bind(is),
                Value::Bytes(bytes) => tuple.push_bind(bytes),
            };
        }
    });
    sql
}

impl CopyEnd {
    /// The rows that a statement finds.
    async fn rows(&mut self, sql: String, values: &[Value], columns: &[(&str, Kind)]) -> Result<Vec<Row>> {
        // Safe: it is put together from constants.
        let query = bind(sqlx::query(AssertSqlSafe(sql)), values);
        let found = in_time(PATIENCE, query.fetch_all(&mut self.connection)).await?;
        let rows: Result<_, _> = found.iter().map(|found| row(found, columns)).collect();
        rows.map_err(store_error)
    }

    async fn write_all(&mut self, table: &Table, rows: &[Row]) -> Result<(), sqlx::Error> {
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else {
            return Ok(());
        };
        let mut transaction = self.connection.begin_with(copied::BEGIN).await?;
        let (more, values) = copied::more(&mut transaction, table, rows).await?;
        insert(table, rows, more, &values)
            .build()
            .execute(&mut *transaction)
            .await?;
        for statement in copied::derived(table) {
            let statement = bind(sqlx::query(*statement), &first[..table.key]);
            bind(statement, &last[..table.key])
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await
    }

    async fn mark_all(&mut self, source: &str) -> Result<(), sqlx::Error> {
        let mut transaction = self.connection.begin_with(copied::BEGIN).await?;
        let create = format!("CREATE TABLE {MARK} (source text NOT NULL)");
        let mark = format!("INSERT INTO {MARK} (source) VALUES ($1)");
        // Safe: both are put together from constants.
        sqlx::query(AssertSqlSafe(create))
            .execute(&mut *transaction)
            .await?;
        sqlx::query(AssertSqlSafe(mark))
            .bind(source)
            .execute(&mut *transaction)
            .await?;
        sqlx::query("DELETE FROM organization_counters WHERE organization_id = $1")
            .bind(Uuid::nil())
            .execute(&mut *transaction)
            .await?;
        for statement in copied::PREPARE {
            sqlx::query(*statement).execute(&mut *transaction).await?;
        }
        transaction.commit().await
    }
}

#[async_trait]
impl End for CopyEnd {
    async fn count(&mut self, table: &'static Table) -> Result<u64> {
        let sql = format!("SELECT count(*) FROM {}", table.name);
        // Safe: it is put together from constants.
        let query = sqlx::query_scalar(AssertSqlSafe(sql));
        let rows: i64 = in_time(LONG_PATIENCE, query.fetch_one(&mut self.connection)).await?;
        Ok(u64::try_from(rows).unwrap_or_default())
    }

    async fn last_key(&mut self, table: &'static Table) -> Result<Option<Row>> {
        let key = &table.columns[..table.key];
        let backwards: Vec<_> = key.iter().map(|(name, _)| format!("{name} DESC")).collect();
        let sql = format!(
            "SELECT {} FROM {} ORDER BY {} LIMIT 1",
            table.key_names(),
            table.name,
            backwards.join(", ")
        );
        Ok(self.rows(sql, &[], key).await?.pop())
    }

    async fn read(&mut self, table: &'static Table, after: Option<&[Value]>) -> Result<Vec<Row>> {
        let (names, key) = (table.names(), table.key_names());
        let beyond = if after.is_some() {
            let parameters: Vec<_> = (1..=table.key).map(|number| format!("${number}")).collect();
            format!("WHERE ({key}) > ({})", parameters.join(", "))
        } else {
            String::new()
        };
        let sql = format!(
            "SELECT {names} FROM {} {beyond} ORDER BY {key} LIMIT {STEP}",
            table.name
        );
        self.rows(sql, after.unwrap_or_default(), table.columns).await
    }

    async fn write(&mut self, table: &'static Table, rows: &[Row]) -> Result<()> {
        in_time(PATIENCE, self.write_all(table, rows)).await
    }

    async fn marked(&mut self) -> Result<Option<String>> {
        if !in_time(PATIENCE, copied::is_marked(&mut self.connection)).await? {
            return Ok(None);
        }
        let sql = format!("SELECT source FROM {MARK}");
        // Safe: it is put together from constants.
        let query = sqlx::query_scalar(AssertSqlSafe(sql));
        in_time(PATIENCE, query.fetch_optional(&mut self.connection)).await
    }

    async fn mark(&mut self, source: &str) -> Result<()> {
        in_time(PATIENCE, self.mark_all(source)).await
    }

    async fn derive(&mut self) -> Result<()> {
        let derived = timeout(LONG_PATIENCE, copied::derive(&mut self.connection)).await;
        derived.unwrap_or(Err(StoreError::Unavailable(Outage::Unreachable)))
    }

    async fn unmark(&mut self) -> Result<()> {
        let sql = format!("DROP TABLE {MARK}");
        // Safe: it is put together from constants.
        let statement = sqlx::query(AssertSqlSafe(sql));
        in_time(PATIENCE, statement.execute(&mut self.connection)).await?;
        Ok(())
    }

    async fn freeze(&mut self) -> Result<()> {
        let begin = sqlx::query(copied::SNAPSHOT);
        in_time(PATIENCE, begin.execute(&mut self.connection)).await?;
        Ok(())
    }

    async fn close(self: Box<Self>) {
        if let Err(error) = in_time(PATIENCE, self.connection.close()).await {
            tracing::error!(%error, "closing the database failed");
        }
    }
}
