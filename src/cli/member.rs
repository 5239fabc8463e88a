//! `userbridge member`.

use clap::{Args, Subcommand};

use super::{
    CliError, Global, Session,
    output::{self, List, MemberView, PAGE},
};
use crate::{
    domain::{
        Actor, AvatarUrl, CompanyName, CustomerStatus, DisplayName, Email, MemberLookup, Page, PortalRole,
        Profile, Slug, UserId,
    },
    service::LinkMember,
    storage::Migrate,
};

#[derive(Debug, Subcommand)]
pub(super) enum MemberCommand {
    /// Link a user to an organization.
    Link(Link),
    /// Show one member.
    Show(Which),
    /// List members.
    List {
        /// The organization's handle.
        #[arg(long)]
        org: Slug,
    },
    /// End a user's link to an organization, at once and for good.
    Revoke(Which),
}

#[derive(Args, Debug)]
pub(super) struct Link {
    /// The organization's handle.
    #[arg(long)]
    org: Slug,
    /// Address. A user who is known by it in another organization is the same user here.
    #[arg(long)]
    email: Option<Email>,
    /// A user who exists, by id.
    #[arg(long, value_name = "ID")]
    user_id: Option<UserId>,
    /// Display name.
    #[arg(long)]
    name: Option<DisplayName>,
    /// Where a picture is.
    #[arg(long, value_name = "URL")]
    avatar_url: Option<AvatarUrl>,
    /// Role in the portal [default: `end_user`].
    #[arg(long, value_name = "ROLE")]
    portal_role: Option<PortalRole>,
    /// Company.
    #[arg(long, value_name = "NAME")]
    company_name: Option<CompanyName>,
    /// CRM status, such as trial or paying.
    #[arg(long, value_name = "STATUS")]
    customer_status: Option<CustomerStatus>,
}

#[derive(Args, Debug)]
pub(super) struct Which {
    /// The organization's handle.
    #[arg(long)]
    org: Slug,
    #[command(flatten)]
    by: By,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
struct By {
    /// The member with this address, byte for byte.
    #[arg(long)]
    email: Option<String>,
    /// The member that is this user.
    #[arg(long, value_name = "ID")]
    user_id: Option<UserId>,
}

impl By {
    fn lookup(self) -> MemberLookup {
        match self.user_id {
            Some(id) => MemberLookup::UserId(id),
            // clap has seen to it that one of them is there.
            None => MemberLookup::Email(self.email.unwrap_or_default()),
        }
    }
}

impl MemberCommand {
    pub(super) async fn run(self, global: &Global) -> Result<(), CliError> {
        let session = Session::open(global, Migrate::Never).await?;
        let result = self.run_in(&session, global).await;
        session.close(result).await
    }

    async fn run_in(self, session: &Session, global: &Global) -> Result<(), CliError> {
        let directory = &session.directory;
        match self {
            Self::Link(link) => {
                let organization = directory.organization(&link.org).await?.id;
                let member = directory
                    .link_member(organization, link.into(), Actor::Operator)
                    .await?;
                output::one(global, &MemberView::from(member))
            }
            Self::Show(which) => {
                let organization = directory.organization(&which.org).await?.id;
                let member = directory.member(organization, which.by.lookup()).await?;
                output::one(global, &MemberView::from(member))
            }
            Self::List { org } => {
                let organization = directory.organization(&org).await?.id;
                let mut list = List::new(global);
                let mut after = None;
                loop {
                    let page = directory
                        .members(organization, Page { after, limit: PAGE })
                        .await?;
                    let Some(end) = page.last() else { break };
                    after = Some(end.id);
                    for member in page {
                        list.push(&MemberView::from(member))?;
                    }
                }
                list.end()
            }
            Self::Revoke(which) => {
                let organization = directory.organization(&which.org).await?.id;
                let member = directory.member(organization, which.by.lookup()).await?;
                directory
                    .revoke_member(organization, member.user_id, Actor::Operator)
                    .await?;
                output::one(global, &MemberView::from(member))
            }
        }
    }
}

impl From<Link> for LinkMember {
    fn from(link: Link) -> Self {
        Self {
            user_id: link.user_id,
            profile: Profile {
                email: link.email,
                name: link.name,
                avatar_url: link.avatar_url,
                portal_role: link.portal_role.unwrap_or_default(),
                company_name: link.company_name,
                customer_status: link.customer_status,
            },
        }
    }
}
