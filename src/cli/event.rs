//! `userbridge event`.

use std::{convert::Infallible, time::Duration};

use clap::{Subcommand, value_parser};

use super::{
    CliError, Session,
    output::{self, EventView, PAGE, Show as _},
    table::Table,
};
use crate::{
    domain::{Event, EventQuery, Slug, UserId},
    service::Read,
};

/// How often to look for what other processes have written.
const POLL: Duration = Duration::from_millis(500);

#[derive(Debug, Subcommand)]
pub(super) enum EventCommand {
    /// List the events of an organization in the order of their sequence numbers.
    List {
        /// The organization's slug.
        #[arg(long)]
        org: Slug,
        /// Only events with a greater sequence number.
        #[arg(long, value_name = "SEQUENCE", default_value_t = 0)]
        after: i64,
        /// Only events about this user's memberships.
        #[arg(long, value_name = "ID")]
        user_id: Option<UserId>,
    },
    /// Print each event in order and go on with those to come, until Ctrl-C. JSON is one object a line.
    Watch {
        /// The organization's slug.
        #[arg(long)]
        org: Slug,
        /// Only events with a greater sequence number than this one, which must be in the log.
        #[arg(long, value_name = "SEQUENCE", default_value_t = 0, value_parser = value_parser!(i64).range(0..))]
        after: i64,
    },
}

impl EventCommand {
    pub(super) async fn run(self, session: &Session) -> Result<(), CliError> {
        match self {
            Self::List { org, after, user_id } => {
                let grant = Read::operator(session.organization(&org).await?);
                list(session, grant, after, user_id).await
            }
            Self::Watch { org, after } => {
                let grant = Read::operator(session.organization(&org).await?);
                tokio::select! {
                    watched = watch(session, grant, after) => watched.map(|never| match never {}),
                    interrupted = tokio::signal::ctrl_c() => Ok(interrupted?),
                }
            }
        }
    }
}

async fn list(session: &Session, grant: Read, mut after: i64, user: Option<UserId>) -> Result<(), CliError> {
    let mut list = session.list();
    loop {
        let page = page(session, grant, after, PAGE, user).await?;
        let Some(end) = page.last() else { break };
        after = end.sequence;
        for event in page {
            list.push(&EventView::from(event))?;
        }
    }
    list.end()
}

async fn watch(session: &Session, grant: Read, mut after: i64) -> Result<Infallible, CliError> {
    if after > 0 && page(session, grant, after - 1, 1, None).await?.is_empty() {
        return Err(CliError::NotFound(format!("there is no event {after} yet")));
    }
    let mut table = Table::new();
    loop {
        let page = page(session, grant, after, PAGE, None).await?;
        if page.is_empty() {
            tokio::time::sleep(POLL).await;
        }
        for event in page {
            after = event.sequence;
            let event = EventView::from(event);
            if session.json {
                output::json(&event)?;
            } else {
                table.push(&event.columns())?;
            }
        }
        table.flush()?;
    }
}

async fn page(
    session: &Session,
    grant: Read,
    after: i64,
    limit: u32,
    user: Option<UserId>,
) -> Result<Vec<Event>, CliError> {
    let query = EventQuery {
        after,
        limit,
        user,
        ..EventQuery::default()
    };
    Ok(session.directory.events(grant, query).await?.items)
}
