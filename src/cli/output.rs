//! What commands print: for people a table, for scripts JSON.

use std::{
    fmt::Display,
    io::{self, Write as _},
};

use serde::Serialize;

use super::{
    CliError, Session,
    table::{Columns, Table},
};
use crate::domain::{
    ApiKey, Association, AuthMethod, Event, HeldAddress, Member, Organization, Role, Team, TeamNumber,
};

/// Most entries to ask the directory for at once.
pub(super) const PAGE: u32 = 500;

/// What a table or a JSON object is made of.
pub(super) trait Show: Serialize {
    fn columns(&self) -> Columns<'_>;
}

/// A view and what each of its fields is of the value that it shows.
macro_rules! view {
    ($(#[$doc:meta])* $view:ident of $value:ident: $type:ty {
        $($(#[$attribute:meta])* $field:ident: $kind:ty = $of:expr,)+
    }) => {
        $(#[$doc])*
        #[derive(Serialize)]
        pub(super) struct $view {
            $($(#[$attribute])* pub(super) $field: $kind,)+
        }

        impl From<$type> for $view {
            fn from($value: $type) -> Self {
                Self { $($field: $of,)+ }
            }
        }
    };
}

view! {
    OrganizationView of organization: Organization {
        id: String = organization.id.to_string(),
        slug: String = organization.slug.into(),
        name: String = organization.name.into(),
        created_at: String = organization.created_at.to_string(),
        default_role: &'static str = organization.default_role.as_str(),
        retention_days: Option<u16> = organization.retention_days,
        brand_name: Option<String> = organization.branding.name.map(Into::into),
        brand_logo_url: Option<String> = organization.branding.logo_url.map(Into::into),
        brand_sender: Option<String> = organization.branding.sender.map(Into::into),
        brand_locale: Option<String> = organization.branding.locale.map(Into::into),
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

view! {
    TeamView of team: Team {
        number: i64 = team.number.0,
        key: String = team.slug.into(),
        name: String = team.name.into(),
        root: bool = team.number == TeamNumber::ROOT,
        created_at: String = team.created_at.to_string(),
        #[serde(skip)]
        number_text: String = team.number.0.to_string(),
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

view! {
    /// A member, with the nine fields of the published user object in their order.
    PublicMemberView of member: Member {
        id: String = member.id.to_string(),
        user_id: String = member.user_id.to_string(),
        email: Option<String> = member.profile.email.map(Into::into),
        name: Option<String> = member.profile.name.map(Into::into),
        avatar_url: Option<String> = member.profile.avatar_url.map(Into::into),
        portal_role: Option<String> = member.profile.portal_role.map(Into::into),
        company_name: Option<String> = member.profile.company_name.map(Into::into),
        customer_status: Option<String> = member.profile.customer_status.map(Into::into),
        created_at: String = member.created_at.to_string(),
    }
}

impl Show for PublicMemberView {
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

view! {
    /// A member with all that is managed about it: the nine fields, then the rest.
    MemberView of member: Member {
        #[serde(flatten)]
        member: PublicMemberView = member.clone().into(),
        locale: Option<String> = member.profile.locale.clone().map(Into::into),
        given_name: Option<String> = member.person.given_name.map(Into::into),
        family_name: Option<String> = member.person.family_name.map(Into::into),
        number: i64 = member.number.0,
        role: Option<&'static str> = member.access.role.map(Role::as_str),
        enabled: bool = member.access.enabled,
        auth_method: Option<&'static str> = member.access.auth_method.map(AuthMethod::as_str),
        onboarded: bool = member.access.onboarded,
        source: String = member.origin.source.into(),
        external_id: Option<String> = member.origin.external_id.map(Into::into),
        teams: Vec<i64> = member.teams.iter().map(|team| team.0).collect(),
        primary_team: i64 = member.primary_team.0,
        updated_at: String = member.updated_at.to_string(),
        last_seen_at: Option<String> = member.last_seen_at.map(|time| time.to_string()),
        revoked_at: Option<String> = member.revoked_at.map(|time| time.to_string()),
        erased_at: Option<String> = member.erased_at.map(|time| time.to_string()),
        etag: String = member.version.to_string(),
    }
}

impl Show for MemberView {
    fn columns(&self) -> Columns<'_> {
        let mut columns = self.member.columns();
        columns.push(("ROLE", self.role.unwrap_or("-")));
        let is_live = self.revoked_at.is_none();
        columns.push(("STATE", if is_live { "live" } else { "revoked" }));
        columns
    }
}

view! {
    /// An address in the time in which a link had it.
    AddressView of address: HeldAddress {
        member_id: String = address.member_id.to_string(),
        email: String = address.email.into(),
        since: String = address.since.to_string(),
        until: Option<String> = address.until.map(|time| time.to_string()),
    }
}

view! {
    /// A user's live link to an organization.
    AssociationView of association: Association {
        organization_id: String = association.organization.id.to_string(),
        organization_slug: String = association.organization.slug.into(),
        organization_name: String = association.organization.name.into(),
        member_id: String = association.member_id.to_string(),
        role: Option<&'static str> = association.role.map(Role::as_str),
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

view! {
    EventView of event: Event {
        sequence: i64 = event.sequence,
        kind: &'static str = event.kind.as_str(),
        member_id: Option<String> = event.member_id.map(|id| id.to_string()),
        user_id: Option<String> = event.user_id.map(|id| id.to_string()),
        api_key_id: Option<String> = event.api_key_id.map(|id| id.to_string()),
        team: Option<i64> = event.team.map(|team| team.0),
        actor: String = event.actor.to_string(),
        client_identity: Option<String> = event.client.map(Into::into),
        source: Option<String> = event.source.map(Into::into),
        at: String = event.at.to_string(),
        fields: Vec<String> = event.fields,
        #[serde(skip)]
        number: String = event.sequence.to_string(),
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

/// Prints one line of JSON.
pub(super) fn json(value: &impl Serialize) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, value)?;
    writeln!(out)?;
    Ok(())
}

/// Prints a JSON object, or a line of text.
pub(super) fn say(json: bool, object: &serde_json::Value, line: impl Display) -> Result<(), CliError> {
    if json {
        return self::json(object);
    }
    self::line(line)
}

/// Prints a line of text.
pub(super) fn line(line: impl Display) -> Result<(), CliError> {
    writeln!(io::stdout(), "{line}")?;
    Ok(())
}

impl Session {
    /// Prints a table of one row, or one JSON object.
    pub(super) fn show(&self, value: &impl Show) -> Result<(), CliError> {
        if self.json {
            return json(value);
        }
        let mut table = Table::new();
        table.push(&value.columns())?;
        Ok(table.flush()?)
    }

    pub(super) fn list(&self) -> List {
        List {
            json: self.json,
            table: Table::new(),
            empty: true,
        }
    }
}

/// Prints a list as it comes: a table, or one JSON array.
pub(super) struct List {
    json: bool,
    table: Table,
    empty: bool,
}

impl List {
    pub(super) fn push(&mut self, value: &impl Show) -> Result<(), CliError> {
        if !self.json {
            return Ok(self.table.push(&value.columns())?);
        }
        let mut out = io::stdout().lock();
        out.write_all(if self.empty { b"[\n" } else { b",\n" })?;
        self.empty = false;
        serde_json::to_writer(&mut out, value)?;
        Ok(())
    }

    pub(super) fn end(mut self) -> Result<(), CliError> {
        if self.json {
            io::stdout().write_all(if self.empty { b"[]\n" } else { b"\n]\n" })?;
        }
        Ok(self.table.flush()?)
    }
}
