//! `userbridge team`.

use clap::{Args, Subcommand};
use serde_json::json;

use super::{
    CliError, Session,
    output::{self, PAGE, TeamView},
};
use crate::{
    domain::{Idempotency, Idempotent, MemberId, PageRequest, Slug, TeamName, TeamNumber, TeamSlug},
    service::{Read, Write},
};

#[derive(Debug, Subcommand)]
pub(super) enum TeamCommand {
    /// Make a team without members.
    Create {
        /// The organization's slug.
        #[arg(long)]
        org: Slug,
        /// Its slug, unique in the organization, at most 64 characters.
        slug: TeamSlug,
        /// Its name, at most 255 characters [default: its slug].
        #[arg(long)]
        name: Option<TeamName>,
    },
    /// Give a team another name.
    Rename {
        #[command(flatten)]
        which: Which,
        /// Its new name, at most 255 characters.
        #[arg(long)]
        name: TeamName,
    },
    /// Remove a team. Its members stay in the organization.
    Delete(Which),
    /// List teams.
    List {
        /// The organization's slug.
        #[arg(long)]
        org: Slug,
    },
    /// Say who is in a team: these members and no others.
    SetMembers {
        #[command(flatten)]
        which: Which,
        /// A member's id. May be given several times; if not at all, the team is emptied.
        #[arg(long = "member", value_name = "ID")]
        members: Vec<MemberId>,
    },
}

#[derive(Args, Debug)]
pub(super) struct Which {
    /// The organization's slug.
    #[arg(long)]
    org: Slug,
    /// The team's number, as `team list` shows it.
    number: i64,
}

impl TeamCommand {
    pub(super) async fn run(self, session: &Session) -> Result<(), CliError> {
        let directory = &session.directory;
        match self {
            Self::Create { org, slug, name } => {
                let grant = Write::operator(session.organization(&org).await?);
                let name = name.unwrap_or_else(|| (&slug).into());
                let created = directory.create_team(grant, slug, name, Idempotency::never());
                match created.await? {
                    Idempotent::Fresh(team) => session.show(&TeamView::from(team)),
                    Idempotent::Replayed(_) => Ok(()),
                }
            }
            Self::Rename { which, name } => {
                let (grant, team) = which.grant(session).await?;
                let team = directory.rename_team(grant, team, name).await?;
                session.show(&TeamView::from(team))
            }
            Self::Delete(which) => {
                let (grant, team) = which.grant(session).await?;
                directory.delete_team(grant, team).await?;
                let line = format_args!("team {} deleted", team.0);
                output::say(session.json, &json!({ "number": team.0 }), line)
            }
            Self::List { org } => {
                let grant = Read::operator(session.organization(&org).await?);
                let mut list = session.list();
                let mut after = None;
                loop {
                    let page = directory.teams(grant, PageRequest { after, limit: PAGE }).await?;
                    let Some(end) = page.items.last() else { break };
                    after = Some(end.number);
                    for team in page.items {
                        list.push(&TeamView::from(team))?;
                    }
                }
                list.end()
            }
            Self::SetMembers { which, members } => {
                let (grant, team) = which.grant(session).await?;
                let (added, removed) = directory.set_team_members(grant, team, members).await?;
                let line = format_args!("{added} added, {removed} removed");
                output::say(session.json, &json!({ "added": added, "removed": removed }), line)
            }
        }
    }
}

impl Which {
    async fn grant(&self, session: &Session) -> Result<(Write, TeamNumber), CliError> {
        let organization = session.organization(&self.org).await?;
        Ok((Write::operator(organization), TeamNumber(self.number)))
    }
}
