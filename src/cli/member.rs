//! `userbridge member`.

use std::io::Write as _;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use super::{
    CliError, Session,
    output::{self, AddressView, AssociationView, EventView, MemberView, PAGE, PublicMemberView},
};
use crate::{
    domain::{
        AuthMethod, AvatarUrl, CompanyName, CustomerStatus, DisplayName, Email, Erasure, ExternalId,
        FamilyName, GivenName, Idempotency, Idempotent, LinkRequest, Locale, MemberFilter, MemberId,
        MemberOrder, MemberPatch, MemberQuery, MemberRef, Origin, PageRequest, PortalRole, Resource, Role,
        Slug, Source, TeamNumber, Timestamp, UserId,
    },
    service::{Admin, ExportPlace, Exported, Read, Write},
};

#[derive(Debug, Subcommand)]
pub(super) enum MemberCommand {
    /// Link a user to an organization, or update the link that is there: as staff with --role, else as an end user whose
    /// portal role is `end_user`. With --role and --portal-role as both.
    Link(Link),
    /// Show one member with all that is managed about it.
    Show(Which),
    /// List members as they were linked, or in another order; or those who were revoked.
    List(Filter),
    /// Change a member. What is not given stays as it is.
    Update(Update),
    /// End a user's link to an organization, at once.
    Revoke(Which),
    /// Make a revoked member live again.
    Restore(One),
    /// Remove a member's personal data for good.
    Erase(One),
    /// List the organizations that a user is linked to.
    Associations {
        /// The user's id.
        #[arg(long, value_name = "ID")]
        user_id: UserId,
    },
    /// Note that a member was active now. What is shown may lag behind by a minute.
    Seen(One),
    /// Print everything that is held about a user in an organization, as JSON.
    Export {
        /// The organization's slug.
        #[arg(long)]
        org: Slug,
        /// The user's id.
        #[arg(long, value_name = "ID")]
        user_id: UserId,
    },
}

/// What is known of a member. What is not given stays as it is.
#[derive(Args, Debug)]
struct Values {
    /// Name as people write it, at most 255 characters.
    #[arg(long)]
    name: Option<DisplayName>,
    /// First name, at most 127 characters; without `--name` it makes the name, with the last one.
    #[arg(long, value_name = "NAME")]
    given_name: Option<GivenName>,
    /// Last name, at most 127 characters.
    #[arg(long, value_name = "NAME")]
    family_name: Option<FamilyName>,
    /// URL of a picture, at most 2048 characters.
    #[arg(long, value_name = "URL")]
    avatar_url: Option<AvatarUrl>,
    /// Role in the portal, which makes an end user; at most 64 characters.
    #[arg(long, value_name = "ROLE")]
    portal_role: Option<PortalRole>,
    /// The company that they work for, at most 255 characters.
    #[arg(long, value_name = "NAME")]
    company_name: Option<CompanyName>,
    /// CRM status, such as trial or paying; at most 64 characters.
    #[arg(long, value_name = "STATUS")]
    customer_status: Option<CustomerStatus>,
    /// The language in which they are written to, such as en or pt-BR.
    #[arg(long, value_name = "TAG")]
    locale: Option<Locale>,
    /// What it may do for those who run the organization, which makes staff: owner, admin, editor, viewer or
    /// `restricted_viewer`.
    #[arg(long)]
    role: Option<Role>,
    /// How it signs in: password or oidc.
    #[arg(long, value_name = "METHOD")]
    auth_method: Option<AuthMethod>,
    /// The number of a team. May be given several times; together they replace the set.
    #[arg(long = "team", value_name = "NUMBER")]
    teams: Vec<i64>,
}

#[derive(Args, Debug)]
pub(super) struct Link {
    /// The organization's slug.
    #[arg(long)]
    org: Slug,
    /// Address, at most 320 characters. Who has it in another organization is the same user here.
    #[arg(long)]
    email: Option<Email>,
    /// A user who exists, by id.
    #[arg(long, value_name = "ID")]
    user_id: Option<UserId>,
    /// What the link comes from, at most 64 characters [default: `api`].
    #[arg(long)]
    source: Option<Source>,
    /// The id that the source knows them by, at most 255 characters.
    #[arg(long, value_name = "ID", requires = "source")]
    external_id: Option<ExternalId>,
    /// Link staff: without `--role` with the one it has, or else the organization's default role.
    #[arg(long)]
    staff: bool,
    /// If this makes staff of somebody who was none, mail a welcome with a link to set a password.
    #[arg(long)]
    send_onboarding_mail: bool,
    #[command(flatten)]
    values: Values,
}

#[derive(Args, Debug)]
pub(super) struct Update {
    /// The organization's slug.
    #[arg(long)]
    org: Slug,
    /// The member's id.
    #[arg(long, value_name = "ID")]
    id: MemberId,
    /// A new address, at most 320 characters.
    #[arg(long)]
    email: Option<Email>,
    /// Whether it may do anything: true or false.
    #[arg(long, value_name = "BOOL")]
    enabled: Option<bool>,
    /// Take the role away: an end user who is no longer staff.
    #[arg(long, conflicts_with = "role")]
    no_role: bool,
    /// Take the portal role away: staff who are no longer end users.
    #[arg(long, conflicts_with_all = ["portal_role", "no_role"])]
    no_portal_role: bool,
    #[command(flatten)]
    values: Values,
}

#[derive(Args, Debug)]
pub(super) struct Which {
    /// The organization's slug.
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
    email: Option<Email>,
    /// The member that is this user.
    #[arg(long, value_name = "ID")]
    user_id: Option<UserId>,
    /// The member, also a revoked one.
    #[arg(long, value_name = "ID")]
    id: Option<MemberId>,
}

#[derive(Args, Debug)]
pub(super) struct One {
    /// The organization's slug.
    #[arg(long)]
    org: Slug,
    /// The member's id.
    #[arg(long, value_name = "ID")]
    id: MemberId,
}

#[derive(Args, Debug)]
pub(super) struct Filter {
    /// The organization's slug.
    #[arg(long)]
    org: Slug,
    /// Only members with this role. May be given several times.
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<Role>,
    /// Only end users (true), or only staff who are nothing else (false).
    #[arg(long, value_name = "BOOL")]
    end_user: Option<bool>,
    /// Only members of this team.
    #[arg(long, value_name = "NUMBER")]
    team: Option<i64>,
    /// Only members from this source.
    #[arg(long)]
    source: Option<Source>,
    /// Only members whose name has this part, in any letter case.
    #[arg(long, value_name = "PART")]
    name: Option<String>,
    /// Only members whose address has this part, in any letter case.
    #[arg(long, value_name = "PART")]
    email: Option<String>,
    /// Only members whose name or address has this part, in any letter case.
    #[arg(long, value_name = "PART")]
    text: Option<String>,
    /// What gives the order. Members without one come first.
    #[arg(long, value_enum, default_value_t = Order::CreatedAt)]
    order: Order,
    /// The other way round.
    #[arg(long)]
    descending: bool,
    /// Instead of live members those who were revoked at this moment or later and are not erased, the last first. RFC 3339,
    /// such as 2026-04-01T08:00:00Z.
    #[arg(long, value_name = "TIME", conflicts_with_all = [
        "roles", "end_user", "team", "source", "name", "email", "text", "order", "descending",
    ])]
    revoked_since: Option<jiff::Timestamp>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Order {
    #[value(name = "created_at")]
    CreatedAt,
    Name,
    Email,
    Role,
    #[value(name = "last_seen_at")]
    LastSeenAt,
}

impl From<Order> for MemberOrder {
    fn from(order: Order) -> Self {
        match order {
            Order::CreatedAt => Self::Number,
            Order::Name => Self::Name,
            Order::Email => Self::Email,
            Order::Role => Self::Role,
            Order::LastSeenAt => Self::LastSeen,
        }
    }
}

impl By {
    fn key(self) -> Result<MemberRef, CliError> {
        let key = self.user_id.map(MemberRef::UserId);
        let key = key
            .or(self.email.map(MemberRef::Email))
            .or(self.id.map(MemberRef::Id));
        // clap has seen to it that one of them is there.
        key.ok_or_else(|| CliError::NotFound(Resource::Member.to_string()))
    }
}

impl Values {
    fn patch(self) -> MemberPatch {
        let mut teams: Vec<_> = self.teams.into_iter().map(TeamNumber).collect();
        teams.sort_unstable();
        teams.dedup();
        MemberPatch {
            name: self.name.map(Some),
            avatar_url: self.avatar_url.map(Some),
            portal_role: self.portal_role.map(Some),
            company_name: self.company_name.map(Some),
            customer_status: self.customer_status.map(Some),
            locale: self.locale.map(Some),
            given_name: self.given_name.map(Some),
            family_name: self.family_name.map(Some),
            role: self.role.map(Some),
            auth_method: self.auth_method.map(Some),
            teams: Some(teams).filter(|teams| !teams.is_empty()),
            ..MemberPatch::default()
        }
    }
}

impl MemberCommand {
    pub(super) async fn run(self, session: &Session) -> Result<(), CliError> {
        let directory = &session.directory;
        match self {
            Self::Link(link) => {
                let grant = Write::operator(session.organization(&link.org).await?);
                match directory
                    .link_member(grant, link.into(), Idempotency::never())
                    .await?
                {
                    Idempotent::Fresh(linked) => session.show(&PublicMemberView::from(linked.member)),
                    Idempotent::Replayed(_) => Ok(()),
                }
            }
            Self::Show(which) => {
                let grant = Read::operator(session.organization(&which.org).await?);
                session.show(&MemberView::from(
                    directory.member(grant, which.by.key()?, true).await?,
                ))
            }
            Self::List(filter) => list(session, filter).await,
            Self::Update(update) => {
                let grant = Write::operator(session.organization(&update.org).await?);
                let mut patch = update.values.patch();
                patch.email = update.email.map(Some);
                patch.enabled = update.enabled;
                if update.no_role {
                    patch.role = Some(None);
                }
                if update.no_portal_role {
                    patch.portal_role = Some(None);
                }
                session.show(&MemberView::from(
                    directory.update_member(grant, update.id, patch, None).await?,
                ))
            }
            Self::Revoke(which) => {
                let organization = session.organization(&which.org).await?;
                let member = directory
                    .member(Read::operator(organization), which.by.key()?, false)
                    .await?;
                directory
                    .revoke_member(Write::operator(organization), member.id, None)
                    .await?;
                session.show(&PublicMemberView::from(member))
            }
            Self::Restore(one) => {
                let grant = Write::operator(session.organization(&one.org).await?);
                session.show(&MemberView::from(directory.restore_member(grant, one.id).await?))
            }
            Self::Erase(one) => {
                let grant = Write::operator(session.organization(&one.org).await?);
                let Erasure { at, sequence } = directory.erase_member(grant, one.id).await?;
                let object = json!({
                    "id": one.id.to_string(),
                    "erased_at": at.to_string(),
                    "event_sequence": sequence,
                });
                let line = format_args!("{} erased at {at}, event {sequence}", one.id);
                output::say(session.json, &object, line)
            }
            Self::Associations { user_id } => {
                let mut list = session.list();
                for association in directory.all_associations(Admin::OPERATOR, user_id).await? {
                    list.push(&AssociationView::from(association))?;
                }
                list.end()
            }
            Self::Seen(one) => {
                let organization = session.organization(&one.org).await?;
                directory
                    .record_seen(Write::operator(organization), one.id)
                    .await?;
                directory.write_last_used().await?;
                let member = directory.member(Read::operator(organization), MemberRef::Id(one.id), true);
                session.show(&MemberView::from(member.await?))
            }
            Self::Export { org, user_id } => {
                let grant = Read::operator(session.organization(&org).await?);
                export(session, grant, user_id).await
            }
        }
    }
}

async fn export(session: &Session, grant: Read, user_id: UserId) -> Result<(), CliError> {
    let (mut members, mut addresses, mut events) = (Vec::new(), Vec::new(), Vec::new());
    let mut after = ExportPlace::Start;
    loop {
        let page = session.directory.export_user(grant, user_id, after, PAGE).await?;
        for entry in page.items {
            after = entry.place();
            match entry {
                Exported::Link(link) => members.push(MemberView::from(link)),
                Exported::Address(address) => addresses.push(AddressView::from(address)),
                Exported::Event(event) => events.push(EventView::from(event)),
            }
        }
        if !page.more {
            break;
        }
    }
    output::json(&json!({
        "members": members,
        "addresses": addresses,
        "events": events,
    }))
}

async fn list(session: &Session, filter: Filter) -> Result<(), CliError> {
    let grant = Read::operator(session.organization(&filter.org).await?);
    if let Some(since) = filter.revoked_since {
        return list_revoked(session, grant, first_millisecond(since)).await;
    }
    let mut query = MemberQuery {
        filter: MemberFilter {
            roles: filter.roles.into_iter().map(Some).collect(),
            end_user: filter.end_user,
            team: filter.team.map(TeamNumber),
            source: filter.source,
            name_parts: filter.name.into_iter().collect(),
            email_parts: filter.email.into_iter().collect(),
            text: filter.text,
            ..MemberFilter::default()
        },
        order: filter.order.into(),
        descending: filter.descending,
        limit: PAGE,
        ..MemberQuery::default()
    };
    let mut list = session.list();
    loop {
        let page = session.directory.members(grant, query.clone()).await?;
        for entry in page.members {
            list.push(&PublicMemberView::from(entry))?;
        }
        match page.next {
            Some(next) => query.after = Some(next),
            None => break,
        }
    }
    list.end()?;
    std::io::stdout().flush()?;
    Ok(())
}

/// The first millisecond that is not before a moment.
fn first_millisecond(moment: jiff::Timestamp) -> Timestamp {
    let rest = i64::from(moment.subsec_nanosecond().rem_euclid(1_000_000) != 0);
    let below = moment.as_nanosecond().div_euclid(1_000_000);
    Timestamp::from_millis(i64::try_from(below).unwrap_or(i64::MAX - 1) + rest)
}

async fn list_revoked(session: &Session, grant: Read, from: Timestamp) -> Result<(), CliError> {
    let mut list = session.list();
    let mut after = None;
    loop {
        let page = PageRequest { after, limit: PAGE };
        let page = session
            .directory
            .revoked_members(grant, from.into(), page)
            .await?;
        after = page.end().and_then(|end| Some((end.revoked_at?, end.number)));
        for entry in page.items {
            list.push(&PublicMemberView::from(entry))?;
        }
        if after.is_none() {
            return list.end();
        }
    }
}

impl From<Link> for LinkRequest {
    fn from(link: Link) -> Self {
        Self {
            user_id: link.user_id,
            origin: Origin {
                source: link.source.unwrap_or_default(),
                external_id: link.external_id,
            },
            values: MemberPatch {
                email: link.email.map(Some),
                ..link.values.patch()
            },
            only_without_role: false,
            staff: link.staff,
            send_onboarding_mail: link.send_onboarding_mail,
        }
    }
}
