//! The people in the tables of the peers, as somebody writes them who needs no more: numbers as keys inside, ids as texts.
//! Made once, and kept beside the databases of ours.

use std::{fs, path::PathBuf};

use rusqlite::{Connection, params};

use crate::{
    Result,
    people::{ORGANIZATIONS, PORTAL_ROLE, People, person},
    seed::{folder, progress},
};

/// Part of the file's name. Raise it when what is seeded changes.
const VERSION: u32 = 1;

/// Rows in one transaction.
const TRANSACTION: usize = 100_000;

const TABLES: &str = "
    CREATE TABLE organization (
        id      INTEGER PRIMARY KEY,
        api_key TEXT    NOT NULL UNIQUE,
        name    TEXT    NOT NULL
    );
    CREATE TABLE users (
        id         INTEGER PRIMARY KEY,
        uuid       TEXT    NOT NULL,
        name       TEXT,
        avatar_url TEXT,
        created_at INTEGER NOT NULL
    );
    CREATE TABLE organization_user (
        id              INTEGER PRIMARY KEY,
        uuid            TEXT    NOT NULL,
        organization_id INTEGER NOT NULL,
        user_id         INTEGER NOT NULL REFERENCES users (id),
        email           TEXT    NOT NULL,
        portal_role     TEXT    NOT NULL,
        company_name    TEXT,
        customer_status TEXT,
        created_at      INTEGER NOT NULL,
        revoked_at      INTEGER
    );";

const INDEXES: &str = "
    CREATE UNIQUE INDEX users_uuid ON users (uuid);
    CREATE UNIQUE INDEX organization_user_email ON organization_user (organization_id, email) WHERE revoked_at IS NULL;
    CREATE INDEX organization_user_user ON organization_user (organization_id, user_id);
    ANALYZE;
    PRAGMA journal_mode = WAL;";

/// The database with these people, which is made if there is none.
pub(super) fn database(people: &People) -> Result<PathBuf> {
    let path = folder().join(format!("peers-{}-v{VERSION}.db", people.members));
    if path.exists() {
        return Ok(path);
    }
    fs::create_dir_all(folder())?;
    let unfinished = tempfile::tempdir_in(folder())?;
    let new = unfinished.path().join("new.db");
    fill(&mut Connection::open(&new)?, people)?;
    fs::rename(&new, &path)?;
    Ok(path)
}

fn fill(connection: &mut Connection, people: &People) -> Result<()> {
    // Nothing here must survive a crash: the file gets its name when it is whole.
    connection.execute_batch("PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF;")?;
    connection.execute_batch(TABLES)?;
    let transaction = connection.transaction()?;
    for organization in 0..ORGANIZATIONS {
        transaction.execute(
            "INSERT INTO organization (id, api_key, name) VALUES (?1, ?2, ?3)",
            params![
                number(organization),
                people.key(organization),
                format!("Organization {organization}")
            ],
        )?;
    }
    transaction.commit()?;
    let progress = progress(people.members)?;
    for first in (0..people.members).step_by(TRANSACTION) {
        let transaction = connection.transaction()?;
        let mut users = transaction.prepare_cached(
            "INSERT INTO users (id, uuid, name, avatar_url, created_at) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?;
        let mut links = transaction.prepare_cached(
            "INSERT INTO organization_user (
                 id, uuid, organization_id, user_id, email, portal_role, company_name, customer_status, created_at
             ) VALUES (?1, ?2, ?3, ?1, ?4, ?5, ?6, ?7, ?8)",
        )?;
        for person in (first..people.members).take(TRANSACTION).map(person) {
            let at = person.created_at.cast_signed();
            users.execute(params![
                person.row(),
                person.user_id.to_string(),
                person.name(),
                person.avatar_url(),
                at
            ])?;
            links.execute(params![
                person.row(),
                person.member_id.to_string(),
                number(person.organization),
                person.email,
                PORTAL_ROLE,
                person.company_name(),
                person.customer_status(),
                at
            ])?;
            progress.inc(1);
        }
        drop((users, links));
        transaction.commit()?;
    }
    progress.set_message("indexes");
    connection.execute_batch(INDEXES)?;
    progress.finish_and_clear();
    Ok(())
}

/// That of an organization here, from 1.
const fn number(organization: u64) -> i64 {
    organization.cast_signed() + 1
}
