//! What commands print: for people a table, for scripts JSON.

use std::io::{self, Write as _};

use serde::Serialize;

use super::{
    CliError, Global,
    table::{Columns, Table},
};
use crate::domain::{
    ApiKey, Association, AuthMethod, Event, HeldAddress, Member, Organization, Role, Team, TeamNumber,
    Timestamp,
};

/// Most entries to ask the directory for at once.
pub(super) const PAGE: u32 = 500;

/// What a table or a JSON object is made of.
pub(super) trait Show: Serialize {
    fn columns(&self) -> Columns<'_>;
}

#[derive(Serialize)]
pub(super) struct OrganizationView {
    pub(super) id: String,
    pub(super) slug: String,
    pub(super) name: String,
    pub(super) created_at: String,
    default_role: &'static str,
    retention_days: Option<u16>,
}

impl From<Organization> for OrganizationView {
    fn from(organization: Organization) -> Self {
        Self {
            id: organization.id.to_string(),
            slug: organization.slug.into(),
            name: organization.name.into(),
            created_at: organization.created_at.to_string(),
            default_role: organization.default_role.as_str(),
            retention_days: organization.retention_days,
        }
    }
}

impl Show for OrganizationView {
    fn columns(&self) -> Columns<'_> {
        vec![
            ("SLUG", &self.slug),
            ("ID", &self.id),
            ("CREATED", &self.created_at),
            ("NAME", &self.name),
        ]
    }
}

/// A key without its text, which is not stored.
#[derive(Serialize)]
pub(super) struct KeyView {
    pub(super) id: String,
    pub(super) hint: String,
    pub(super) scopes: Vec<&'static str>,
    pub(super) state: &'static str,
    pub(super) created_at: String,
    pub(super) expires_at: Option<String>,
    pub(super) revoked_at: Option<String>,
    last_used_at: Option<String>,
    organization_id: Option<String>,
    #[serde(skip)]
    scope_list: String,
}

impl KeyView {
    pub(super) fn new(key: &ApiKey, state: &'static str) -> Self {
        Self {
            id: key.id.to_string(),
            hint: key.hint.clone(),
            scopes: key.scopes.iter().map(crate::domain::Scope::as_str).collect(),
            state,
            created_at: key.created_at.to_string(),
            expires_at: key.expires_at.map(|time| time.to_string()),
            revoked_at: key.revoked_at.map(|time| time.to_string()),
            last_used_at: key.last_used_at.map(|time| time.to_string()),
            organization_id: key.organization_id.map(|id| id.to_string()),
            scope_list: key.scopes.to_string(),
        }
    }
}

impl Show for KeyView {
    fn columns(&self) -> Columns<'_> {
        let end = self
            .revoked_at
            .as_deref()
            .or(self.expires_at.as_deref())
            .unwrap_or("-");
        vec![
            ("ID", &self.id),
            ("HINT", &self.hint),
            ("STATE", self.state),
            ("SCOPES", &self.scope_list),
            ("CREATED", &self.created_at),
            ("ENDS", end),
        ]
    }
}

#[derive(Serialize)]
pub(super) struct TeamView {
    number: i64,
    key: String,
    name: String,
    root: bool,
    created_at: String,
    #[serde(skip)]
    number_text: String,
}

impl From<Team> for TeamView {
    fn from(team: Team) -> Self {
        Self {
            number: team.number.0,
            key: team.slug.into(),
            name: team.name.into(),
            root: team.number == TeamNumber::ROOT,
            created_at: team.created_at.to_string(),
            number_text: team.number.0.to_string(),
        }
    }
}

impl Show for TeamView {
    fn columns(&self) -> Columns<'_> {
        vec![
            ("NUMBER", &self.number_text),
            ("SLUG", &self.key),
            ("CREATED", &self.created_at),
            ("NAME", &self.name),
        ]
    }
}

/// A member, with the nine fields of the published user object in their order.
#[derive(Serialize)]
pub(super) struct MemberView {
    id: String,
    user_id: String,
    email: Option<String>,
    name: Option<String>,
    avatar_url: Option<String>,
    portal_role: Option<String>,
    company_name: Option<String>,
    customer_status: Option<String>,
    created_at: String,
}

impl From<Member> for MemberView {
    fn from(member: Member) -> Self {
        let profile = member.profile;
        Self {
            id: member.id.to_string(),
            user_id: member.user_id.to_string(),
            email: profile.email.map(Into::into),
            name: profile.name.map(Into::into),
            avatar_url: profile.avatar_url.map(Into::into),
            portal_role: profile.portal_role.map(Into::into),
            company_name: profile.company_name.map(Into::into),
            customer_status: profile.customer_status.map(Into::into),
            created_at: member.created_at.to_string(),
        }
    }
}

impl Show for MemberView {
    fn columns(&self) -> Columns<'_> {
        vec![
            ("USER ID", &self.user_id),
            ("EMAIL", self.email.as_deref().unwrap_or("-")),
            ("PORTAL ROLE", self.portal_role.as_deref().unwrap_or("-")),
            ("CREATED", &self.created_at),
            ("NAME", self.name.as_deref().unwrap_or("-")),
        ]
    }
}

/// A member with all that is managed about it: the nine fields, then the rest.
#[derive(Serialize)]
pub(super) struct EntryView {
    #[serde(flatten)]
    member: MemberView,
    locale: Option<String>,
    number: i64,
    role: Option<&'static str>,
    enabled: bool,
    auth_method: Option<&'static str>,
    source: String,
    external_id: Option<String>,
    teams: Vec<i64>,
    primary_team: i64,
    updated_at: String,
    last_seen_at: Option<String>,
    revoked_at: Option<String>,
    erased_at: Option<String>,
    etag: String,
}

impl From<Member> for EntryView {
    fn from(entry: Member) -> Self {
        let time = |time: Option<Timestamp>| time.map(|time| time.to_string());
        Self {
            locale: entry.profile.locale.clone().map(Into::into),
            member: entry.clone().into(),
            number: entry.number.0,
            role: entry.access.role.map(Role::as_str),
            enabled: entry.access.enabled,
            auth_method: entry.access.auth_method.map(AuthMethod::as_str),
            source: entry.origin.source.into(),
            external_id: entry.origin.external_id.map(Into::into),
            teams: entry.teams.iter().map(|team| team.0).collect(),
            primary_team: entry.primary_team.0,
            updated_at: entry.updated_at.to_string(),
            last_seen_at: time(entry.last_seen_at),
            revoked_at: time(entry.revoked_at),
            erased_at: time(entry.erased_at),
            etag: entry.version.to_string(),
        }
    }
}

impl Show for EntryView {
    fn columns(&self) -> Columns<'_> {
        let mut columns = self.member.columns();
        columns.push(("ROLE", self.role.unwrap_or("-")));
        let is_live = self.revoked_at.is_none();
        columns.push(("STATE", if is_live { "live" } else { "revoked" }));
        columns
    }
}

/// An address in the time in which a link had it.
#[derive(Serialize)]
pub(super) struct AddressView {
    member_id: String,
    email: String,
    since: String,
    until: Option<String>,
}

impl From<HeldAddress> for AddressView {
    fn from(address: HeldAddress) -> Self {
        Self {
            member_id: address.member_id.to_string(),
            email: address.email.into(),
            since: address.since.to_string(),
            until: address.until.map(|time| time.to_string()),
        }
    }
}

/// A user's live link to an organization.
#[derive(Serialize)]
pub(super) struct AssociationView {
    organization_id: String,
    organization_slug: String,
    organization_name: String,
    member_id: String,
    role: Option<&'static str>,
}

impl From<Association> for AssociationView {
    fn from(association: Association) -> Self {
        let organization = association.organization;
        Self {
            organization_id: organization.id.to_string(),
            organization_slug: organization.slug.into(),
            organization_name: organization.name.into(),
            member_id: association.member_id.to_string(),
            role: association.role.map(Role::as_str),
        }
    }
}

impl Show for AssociationView {
    fn columns(&self) -> Columns<'_> {
        vec![
            ("ORGANIZATION", &self.organization_slug),
            ("ORGANIZATION ID", &self.organization_id),
            ("MEMBER ID", &self.member_id),
            ("ROLE", self.role.unwrap_or("-")),
            ("NAME", &self.organization_name),
        ]
    }
}

#[derive(Serialize)]
pub(super) struct EventView {
    sequence: i64,
    kind: &'static str,
    member_id: Option<String>,
    user_id: Option<String>,
    api_key_id: Option<String>,
    team: Option<i64>,
    actor: String,
    source: Option<String>,
    at: String,
    fields: Vec<String>,
    #[serde(skip)]
    number: String,
}

impl From<Event> for EventView {
    fn from(event: Event) -> Self {
        Self {
            sequence: event.sequence,
            kind: event.kind.as_str(),
            member_id: event.member_id.map(|id| id.to_string()),
            user_id: event.user_id.map(|id| id.to_string()),
            api_key_id: event.api_key_id.map(|id| id.to_string()),
            team: event.team.map(|team| team.0),
            actor: event.actor.to_string(),
            source: event.source.map(Into::into),
            at: event.at.to_string(),
            fields: event.fields,
            number: event.sequence.to_string(),
        }
    }
}

impl Show for EventView {
    fn columns(&self) -> Columns<'_> {
        let subject = [&self.member_id, &self.api_key_id].into_iter().flatten().next();
        vec![
            ("SEQUENCE", &self.number),
            ("AT", &self.at),
            ("KIND", self.kind),
            ("MEMBER OR KEY", subject.map_or("-", |id| id)),
            ("ACTOR", &self.actor),
        ]
    }
}

/// Prints a table of one row, or one JSON object.
pub(super) fn one(global: &Global, value: &impl Show) -> Result<(), CliError> {
    if global.json {
        return json(value);
    }
    let mut table = Table::new();
    table.push(&value.columns())?;
    Ok(table.flush()?)
}

/// Prints one line of JSON.
pub(super) fn json(value: &impl Serialize) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, value)?;
    writeln!(out)?;
    Ok(())
}

/// Prints a list as it comes: a table, or one JSON array.
pub(super) struct List<'a> {
    global: &'a Global,
    table: Table,
    empty: bool,
}

impl<'a> List<'a> {
    pub(super) fn new(global: &'a Global) -> Self {
        Self {
            global,
            table: Table::new(),
            empty: true,
        }
    }

    pub(super) fn push(&mut self, value: &impl Show) -> Result<(), CliError> {
        if !self.global.json {
            return Ok(self.table.push(&value.columns())?);
        }
        let mut out = io::stdout().lock();
        out.write_all(if self.empty { b"[\n" } else { b",\n" })?;
        self.empty = false;
        serde_json::to_writer(&mut out, value)?;
        Ok(())
    }

    pub(super) fn end(mut self) -> Result<(), CliError> {
        if self.global.json {
            io::stdout().write_all(if self.empty { b"[]\n" } else { b"\n]\n" })?;
        }
        Ok(self.table.flush()?)
    }
}
