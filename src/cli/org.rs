//! `userbridge org`.

use clap::Subcommand;

use super::{
    CliError, Global, Session,
    output::{self, List, OrganizationView, PAGE},
};
use crate::{
    domain::{Actor, OrganizationName, Page, Slug},
    storage::Migrate,
};

#[derive(Debug, Subcommand)]
pub(super) enum Org {
    /// Make an organization. Creates the database if there is none.
    Create {
        /// Its handle: lower-case letters, digits and hyphens.
        slug: Slug,
        /// Its name as people write it [default: the slug].
        #[arg(long)]
        name: Option<OrganizationName>,
    },
    /// List organizations.
    List,
    /// Show one organization.
    Show {
        /// Its handle.
        slug: Slug,
    },
    /// End an organization: its keys are dead at once, its data stays in the database.
    Delete {
        /// Its handle.
        slug: Slug,
    },
}

impl Org {
    pub(super) async fn run(self, global: &Global) -> Result<(), CliError> {
        let migrate = if matches!(self, Self::Create { .. }) {
            Migrate::OnlyEmpty
        } else {
            Migrate::Never
        };
        let session = Session::open(global, migrate).await?;
        let result = self.run_in(&session, global).await;
        session.close(result).await
    }

    async fn run_in(self, session: &Session, global: &Global) -> Result<(), CliError> {
        let directory = &session.directory;
        match self {
            Self::Create { slug, name } => {
                let name = match name {
                    Some(name) => name,
                    // A slug keeps all the rules of a name.
                    None => OrganizationName::new(slug.as_str()).map_err(std::io::Error::other)?,
                };
                let organization = directory.create_organization(slug, name, Actor::Operator).await?;
                output::one(global, &OrganizationView::from(organization))
            }
            Self::List => {
                let mut list = List::new(global);
                let mut after = None;
                loop {
                    let page = directory.organizations(Page { after, limit: PAGE }).await?;
                    let Some(end) = page.last() else { break };
                    after = Some(end.slug.clone());
                    for organization in page {
                        list.push(&OrganizationView::from(organization))?;
                    }
                }
                list.end()
            }
            Self::Show { slug } => output::one(
                global,
                &OrganizationView::from(directory.organization(&slug).await?),
            ),
            Self::Delete { slug } => {
                let organization = directory.delete_organization(&slug, Actor::Operator).await?;
                output::one(global, &OrganizationView::from(organization))
            }
        }
    }
}
