//! The directory of [`crate::people`] in PostgreSQL, as ours keeps it: with what it finds by address and by user.

use sha2::{Digest as _, Sha256};
use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

use crate::{
    Result,
    people::{self, ORGANIZATIONS, People, Person, person},
    seed::progress,
};

/// Members in one statement.
const ROWS: u64 = 5000;

const ORGANIZATION: &str = "
    WITH organization AS (
        INSERT INTO organizations (id, slug, name, default_role, created_at) VALUES ($1, $2, $2, 'viewer', 0)
    ), counter AS (
        INSERT INTO organization_counters (organization_id, members, teams) VALUES ($1, $3, 1)
    ), counted AS (
        INSERT INTO member_counts (organization_id, role, live) VALUES ($1, '', $3)
    ), team AS (
        INSERT INTO teams (organization_id, number, slug, name, created_at) VALUES ($1, 1, 'root', 'Root', 0)
    )
    INSERT INTO api_keys (organization_id, id, digest, hint, scopes, created_at)
    VALUES ($1, $4, $5, $6, 'public_api', 0)";

const MEMBERS: &str = "
    WITH person AS (
        SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bigint[], $5::text[], $6::bigint[], $7::bigint[])
            AS p (organization_id, id, user_id, number, email, at, company)
    ), known AS (
        INSERT INTO users (id, created_at) SELECT user_id, at FROM person
    ), linked AS (
        INSERT INTO links (user_id, organization_id, member_id, email)
        SELECT user_id, organization_id, id, email FROM person
    ), held AS (
        INSERT INTO addresses (email, organization_id, member, version, member_id, user_id, since)
        SELECT email, organization_id, number, 0, id, user_id, at FROM person
    )
    INSERT INTO members (
        organization_id, id, user_id, number, email, name, avatar_url, portal_role, company_name, customer_status,
        enabled, onboarded, source, primary_team, created_at, updated_at, email_since, version, folded_name, folded_email
    )
    SELECT organization_id, id, user_id, number, email, 'Given Family ' || at,
        'https://cdn.example.com/avatars/' || user_id || '.png', 'end_user', 'Company ' || company,
        CASE WHEN at % 3000 <> 0 THEN 'paying' END, TRUE, FALSE, 'api', 1, at, at, at, 1, 'given family ' || at, email
    FROM person";

/// Fills a database that has the tables and nothing in them, and tells PostgreSQL what there is now.
pub(crate) async fn fill(connection: &mut PgConnection, people: &People) -> Result<()> {
    // Nothing of this is needed after a crash.
    sqlx::raw_sql("SET synchronous_commit = off; SET maintenance_work_mem = '256MB'")
        .execute(&mut *connection)
        .await?;
    for organization in 0..ORGANIZATIONS {
        let key = people.key(organization);
        let last_number = (people.members + ORGANIZATIONS - 1 - organization) / ORGANIZATIONS;
        sqlx::query(ORGANIZATION)
            .bind(people::organization_id(organization))
            .bind(format!("organization-{organization}"))
            .bind(last_number.cast_signed())
            .bind(people::key_id(organization))
            .bind(&Sha256::digest(key)[..])
            .bind(key.get(..8))
            .execute(&mut *connection)
            .await?;
    }
    // An index made at the end is sorted once, which is several times faster than keeping it in order.
    let indexes: Vec<(String, String)> = sqlx::query_as(
        "SELECT indexname::text, indexdef FROM pg_indexes
         WHERE tablename IN ('members', 'addresses') AND indexdef LIKE 'CREATE INDEX %'",
    )
    .fetch_all(&mut *connection)
    .await?;
    for (name, _) in &indexes {
        sqlx::raw_sql(AssertSqlSafe(format!("DROP INDEX {name}")))
            .execute(&mut *connection)
            .await?;
    }
    let progress = progress(people.members)?;
    for first in (0..people.members).step_by(usize::try_from(ROWS)?) {
        let end = people.members.min(first + ROWS);
        let batch: Vec<Person> = (first..end).map(person).collect();
        insert(&mut *connection, &batch).await?;
        progress.set_position(end);
    }
    progress.set_message("indexes");
    for (_, sql) in indexes {
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&mut *connection)
            .await?;
    }
    sqlx::raw_sql("VACUUM (ANALYZE)")
        .execute(&mut *connection)
        .await?;
    sqlx::raw_sql("CHECKPOINT").execute(&mut *connection).await?;
    progress.finish_and_clear();
    Ok(())
}

async fn insert(connection: &mut PgConnection, batch: &[Person]) -> Result<()> {
    let ids = |id: fn(&Person) -> Uuid| batch.iter().map(id).collect::<Vec<_>>();
    let numbers = |number: fn(&Person) -> i64| batch.iter().map(number).collect::<Vec<_>>();
    sqlx::query(MEMBERS)
        .bind(ids(|person| people::organization_id(person.organization)))
        .bind(ids(|person| person.member_id))
        .bind(ids(|person| person.user_id))
        .bind(numbers(Person::member_number))
        .bind(batch.iter().map(|person| &person.email[..]).collect::<Vec<_>>())
        .bind(numbers(|person| person.created_at.cast_signed()))
        .bind(numbers(|person| person.organization.cast_signed()))
        .execute(connection)
        .await?;
    Ok(())
}
