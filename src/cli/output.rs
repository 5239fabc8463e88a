//! What commands print: for people a table, for scripts JSON.

use std::io::{self, Write as _};

use serde::Serialize;

use super::{CliError, Global};
use crate::domain::{ApiKey, Member, Organization, Team, TeamNumber};

/// Most entries to ask the directory for at once.
pub(super) const PAGE: u32 = 500;

/// A thing that commands show.
pub(super) trait Show: Serialize {
    /// One line for people: its columns.
    fn columns(&self) -> Vec<&str>;
}

/// An organization.
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
    fn columns(&self) -> Vec<&str> {
        vec![&self.slug, &self.id, &self.created_at, &self.name]
    }
}

/// A key without its secret.
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
    fn columns(&self) -> Vec<&str> {
        let end = self
            .revoked_at
            .as_deref()
            .or(self.expires_at.as_deref())
            .unwrap_or("-");
        vec![
            &self.id,
            &self.hint,
            self.state,
            &self.scope_list,
            &self.created_at,
            end,
        ]
    }
}

/// A team.
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
            key: team.key.into(),
            name: team.name.into(),
            root: team.number == TeamNumber::ROOT,
            created_at: team.created_at.to_string(),
            number_text: team.number.0.to_string(),
        }
    }
}

impl Show for TeamView {
    fn columns(&self) -> Vec<&str> {
        vec![&self.number_text, &self.key, &self.created_at, &self.name]
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
    portal_role: String,
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
            portal_role: profile.portal_role.into(),
            company_name: profile.company_name.map(Into::into),
            customer_status: profile.customer_status.map(Into::into),
            created_at: member.created_at.to_string(),
        }
    }
}

impl Show for MemberView {
    fn columns(&self) -> Vec<&str> {
        vec![
            &self.user_id,
            self.email.as_deref().unwrap_or("-"),
            &self.portal_role,
            &self.created_at,
            self.name.as_deref().unwrap_or("-"),
        ]
    }
}

/// Prints one thing.
pub(super) fn one(global: &Global, value: &impl Show) -> Result<(), CliError> {
    if global.json {
        json(value)
    } else {
        line(&value.columns())
    }
}

/// Prints a value as one line of JSON.
pub(super) fn json(value: &impl Serialize) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, value)?;
    writeln!(out)?;
    Ok(())
}

/// Prints a list as it comes: lines of tab-separated columns, or one JSON array.
pub(super) struct List<'a> {
    global: &'a Global,
    empty: bool,
}

impl<'a> List<'a> {
    pub(super) const fn new(global: &'a Global) -> Self {
        Self { global, empty: true }
    }

    pub(super) fn push(&mut self, value: &impl Show) -> Result<(), CliError> {
        if !self.global.json {
            return line(&value.columns());
        }
        let mut out = io::stdout().lock();
        out.write_all(if self.empty { b"[\n" } else { b",\n" })?;
        self.empty = false;
        serde_json::to_writer(&mut out, value)?;
        Ok(())
    }

    pub(super) fn end(self) -> Result<(), CliError> {
        if self.global.json {
            io::stdout().write_all(if self.empty { b"[]\n" } else { b"\n]\n" })?;
        }
        Ok(())
    }
}

fn line(columns: &[&str]) -> Result<(), CliError> {
    writeln!(io::stdout(), "{}", columns.join("\t"))?;
    Ok(())
}
