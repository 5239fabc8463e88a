//! `userbridge event`.

use clap::Subcommand;

use super::{
    CliError, Global, Session,
    output::{EventView, List, PAGE},
};
use crate::{
    domain::{EventQuery, Slug, UserId},
    service::Read,
    storage::Migrate,
};

#[derive(Debug, Subcommand)]
pub(super) enum EventCommand {
    /// List what happened in an organization, in order.
    List {
        /// The organization's handle.
        #[arg(long)]
        org: Slug,
        /// Only events after this one.
        #[arg(long, value_name = "SEQUENCE", default_value_t = 0)]
        after: i64,
        /// Only events of this user.
        #[arg(long, value_name = "ID")]
        user_id: Option<UserId>,
    },
}

impl EventCommand {
    pub(super) async fn run(self, global: &Global) -> Result<(), CliError> {
        let session = Session::open(global, Migrate::Never).await?;
        let result = self.run_in(&session, global).await;
        session.close(result).await
    }

    async fn run_in(self, session: &Session, global: &Global) -> Result<(), CliError> {
        let Self::List {
            org,
            mut after,
            user_id,
        } = self;
        let grant = Read::operator(session.organization(&org).await?);
        let mut list = List::new(global);
        loop {
            let query = EventQuery {
                after,
                limit: PAGE,
                user: user_id,
                kinds: Vec::new(),
            };
            let page = session.directory.events(grant, query).await?;
            let Some(end) = page.items.last() else { break };
            after = end.sequence;
            for event in page.items {
                list.push(&EventView::from(event))?;
            }
        }
        list.end()
    }
}
