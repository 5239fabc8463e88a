//! What SQLite does with the rows of a delete when nothing else is there: no server, no waiting callers, one connection
//! that is told what to delete.

use std::{path::Path, time::Instant};

use rusqlite::{Connection, Transaction, TransactionBehavior, named_params};
use tokio::task;
use userbridge::domain::{Clock as _, SystemClock};

use crate::{
    Result,
    deletes::Victims,
    load::Phase,
    people::organization_id,
    plain_pool::{APPEND, REVOKE},
    report::{Sample, float},
    workloads::DELETERS,
};

/// What the connection that writes in ours promises, and how much it keeps in memory.
const PRAGMAS: [(&str, &str); 5] = [
    ("journal_mode", "WAL"),
    ("synchronous", "FULL"),
    ("foreign_keys", "ON"),
    ("secure_delete", "ON"),
    ("cache_size", "-16384"),
];

/// Deletes as many in one transaction as there are callers elsewhere.
pub(crate) async fn deletes(file: &Path, victims: &Victims, phase: Phase) -> Result<Sample> {
    let (file, victims) = (file.to_owned(), victims.clone());
    task::spawn_blocking(move || in_groups(&file, &victims, phase)).await?
}

fn in_groups(file: &Path, victims: &Victims, phase: Phase) -> Result<Sample> {
    let mut connection = Connection::open(file)?;
    for (name, value) in PRAGMAS {
        connection.pragma_update(None, name, value)?;
    }
    let start = Instant::now() + phase.warm_up;
    while Instant::now() < start && group(&mut connection, victims)? > 0 {}
    let start = Instant::now();
    let mut deleted = 0;
    while start.elapsed() < phase.measured {
        match group(&mut connection, victims)? {
            0 => break,
            more => deleted += more,
        }
    }
    Ok(Sample {
        per_second: float(deleted) / start.elapsed().as_secs_f64(),
        p50: None,
        p99: None,
        cpu: None,
        resident: None,
        peak: None,
    })
}

/// One transaction. 0: nobody is left.
fn group(connection: &mut Connection, victims: &Victims) -> Result<u64> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut deleted = 0;
    for _ in 0..DELETERS {
        deleted += u64::from(delete(&transaction, victims)?);
    }
    transaction.commit()?;
    Ok(deleted)
}

/// False: nobody is left.
fn delete(transaction: &Transaction<'_>, victims: &Victims) -> Result<bool> {
    let Some(victim) = victims.take() else {
        return Ok(false);
    };
    let organization = organization_id(victim.organization);
    let (organization, user) = (organization.as_bytes(), victim.user_id.as_bytes());
    let at = SystemClock.now().as_millis();
    // By name, because SQLite numbers parameters of this form as they come.
    let named = named_params! { "$1": organization, "$2": user, "$3": at };
    let mut revoke = transaction.prepare_cached(REVOKE)?;
    let member: Vec<u8> = revoke.query_one(named, |row| row.get(0))?;
    for sql in APPEND.split(';') {
        let mut statement = transaction.prepare_cached(sql)?;
        // The counters are of an organization, the event has everything.
        if statement.parameter_count() == 1 {
            statement.execute(named_params! { "$1": organization })?;
        } else {
            let named = named_params! { "$1": organization, "$2": member, "$3": user, "$4": at };
            statement.execute(named)?;
        }
    }
    Ok(true)
}
