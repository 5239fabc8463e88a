//! Writing.

use std::io::{self, BufWriter, Write};

use serde::{Serialize, Serializer, ser::SerializeMap as _};

use super::{Field, Format, formula::guarded};
use crate::domain::{
    AuthMethod, AvatarUrl, CompanyName, CustomerStatus, DisplayName, Email, ExternalId, FamilyName,
    GivenName, Locale, Member, PortalRole, Role, TeamNumber,
};

/// What stands behind the fields. A reader passes over all but the last: who was revoked is not brought back.
const FURTHER: [&str; 5] = ["id", "user_id", "created_at", "updated_at", "revoked_at"];

/// Writes members: all that a [`Reader`](super::Reader) of the same format takes, and behind it ids and times. What a member has not
/// is an empty cell of CSV, and left out of NDJSON.
pub struct Writer<W: Write> {
    out: Out<W>,
}

enum Out<W: Write> {
    Csv(Box<csv::Writer<W>>),
    Ndjson(BufWriter<W>),
}

impl<W: Write> Writer<W> {
    /// Begins a file, which has a header if it is CSV.
    ///
    /// # Errors
    ///
    /// Writing failed, or the format is none that members are written in.
    pub fn new(out: W, format: Format) -> io::Result<Self> {
        let out = match format {
            Format::Csv => {
                let mut csv = csv::Writer::from_writer(out);
                csv.write_record(Field::ALL.iter().map(|field| field.as_str()).chain(FURTHER))?;
                Out::Csv(Box::new(csv))
            }
            Format::Ndjson => Out::Ndjson(BufWriter::new(out)),
            Format::Json | Format::Zendesk | Format::Freshdesk | Format::TheBridge => {
                let reason = "members are written as csv or ndjson";
                return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
            }
        };
        Ok(Self { out })
    }

    /// Writes a member, in part perhaps into memory.
    ///
    /// # Errors
    ///
    /// Writing failed.
    pub fn write(&mut self, member: &Member) -> io::Result<()> {
        match &mut self.out {
            Out::Csv(csv) => Ok(csv.write_record(values(member).map(|(_, value)| value.cell()))?),
            Out::Ndjson(out) => {
                serde_json::to_writer(&mut *out, &Line(member))?;
                out.write_all(b"\n")
            }
        }
    }

    /// Writes what is still in memory.
    ///
    /// # Errors
    ///
    /// Writing failed.
    pub fn finish(self) -> io::Result<W> {
        match self.out {
            Out::Csv(csv) => csv.into_inner().map_err(csv::IntoInnerError::into_error),
            Out::Ndjson(out) => out.into_inner().map_err(io::IntoInnerError::into_error),
        }
    }
}

/// A value of a member.
enum Value<'m> {
    Nothing,
    Bool(bool),
    Text(&'m str),
    Made(String),
    Team(TeamNumber),
    Teams(&'m [TeamNumber]),
}

impl Value<'_> {
    /// As CSV has it.
    fn cell(&self) -> String {
        match self {
            Self::Nothing => String::new(),
            Self::Bool(value) => value.to_string(),
            Self::Text(text) => guarded(text).into_owned(),
            Self::Made(text) => text.clone(),
            Self::Team(team) => team.0.to_string(),
            Self::Teams(teams) => {
                let teams: Vec<_> = teams.iter().map(|team| team.0.to_string()).collect();
                teams.join(" ")
            }
        }
    }
}

/// As JSON has it.
impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Nothing => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Made(text) => serializer.serialize_str(text),
            Self::Team(team) => serializer.serialize_i64(team.0),
            Self::Teams(teams) => serializer.collect_seq(teams.iter().map(|team| team.0)),
        }
    }
}

/// A line of NDJSON.
struct Line<'m>(&'m Member);

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut line = serializer.serialize_map(None)?;
        for (name, value) in values(self.0) {
            if !matches!(value, Value::Nothing) {
                line.serialize_entry(name, &value)?;
            }
        }
        line.end()
    }
}

/// The values of a member with their names, in the order of the columns.
fn values(member: &Member) -> impl Iterator<Item = (&'static str, Value<'_>)> {
    let fields = Field::ALL
        .iter()
        .map(|field| (field.as_str(), of_field(member, *field)));
    let further = [
        Value::Made(member.id.to_string()),
        Value::Made(member.user_id.to_string()),
        Value::Made(member.created_at.to_string()),
        Value::Made(member.updated_at.to_string()),
        made(member.revoked_at),
    ];
    fields.chain(FURTHER.into_iter().zip(further))
}

fn of_field(member: &Member, field: Field) -> Value<'_> {
    let (profile, person, access) = (&member.profile, &member.person, &member.access);
    match field {
        Field::Email => text(profile.email.as_ref().map(Email::as_str)),
        Field::Name => text(profile.name.as_ref().map(DisplayName::as_str)),
        Field::GivenName => text(person.given_name.as_ref().map(GivenName::as_str)),
        Field::FamilyName => text(person.family_name.as_ref().map(FamilyName::as_str)),
        Field::AvatarUrl => text(profile.avatar_url.as_ref().map(AvatarUrl::as_str)),
        Field::PortalRole => text(profile.portal_role.as_ref().map(PortalRole::as_str)),
        Field::CompanyName => text(profile.company_name.as_ref().map(CompanyName::as_str)),
        Field::CustomerStatus => text(profile.customer_status.as_ref().map(CustomerStatus::as_str)),
        Field::Locale => text(profile.locale.as_ref().map(Locale::as_str)),
        Field::Role => text(access.role.map(Role::as_str)),
        Field::Enabled => Value::Bool(access.enabled),
        Field::AuthMethod => text(access.auth_method.map(AuthMethod::as_str)),
        Field::Onboarded => Value::Bool(access.onboarded),
        Field::Source => Value::Text(member.origin.source.as_str()),
        Field::ExternalId => text(member.origin.external_id.as_ref().map(ExternalId::as_str)),
        Field::Teams if member.teams.is_empty() => Value::Nothing,
        Field::Teams => Value::Teams(&member.teams),
        Field::PrimaryTeam => Value::Team(member.primary_team),
        Field::LastSeenAt => made(member.last_seen_at),
    }
}

fn text(text: Option<&str>) -> Value<'_> {
    text.map_or(Value::Nothing, Value::Text)
}

fn made(value: Option<impl ToString>) -> Value<'static> {
    value.map_or(Value::Nothing, |value| Value::Made(value.to_string()))
}
