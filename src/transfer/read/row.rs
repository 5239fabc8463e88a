//! From the values of a record to a row of an import, or to all that is wrong with it.

use super::{
    cell::Cell,
    error::{Flaw, Reason},
    layout::{Layout, Meaning},
    time,
};
use crate::{
    domain::{ExternalId, ImportRow, InvalidText, Role, Source, TeamNumber, Timestamp},
    transfer::Field,
};

/// The row that a record is, by the value in each place of the layout.
pub(super) fn row(layout: &Layout, cells: &[Cell<'_>]) -> Result<ImportRow, Vec<Flaw>> {
    let mut row = ImportRow::default();
    let mut flaws = Vec::new();
    if let Err(reason) = set(
        &mut row,
        Meaning::Is(Field::Source),
        &Cell::Untyped(layout.source),
    ) {
        flaws.push(Flaw::whole(reason));
    }
    for &(place, meaning) in layout.meanings() {
        let cell = &cells[place];
        if cell.is_nothing() {
            continue;
        }
        if let Err(reason) = set(&mut row, meaning, cell) {
            let column = layout.name(place).to_owned();
            flaws.push(Flaw { column, reason });
        }
    }
    if flaws.is_empty() && row.values.email.is_none() && row.origin.external_id.is_none() {
        flaws.push(Flaw::whole(Reason::Nobody));
    }
    if flaws.is_empty() { Ok(row) } else { Err(flaws) }
}

fn set(row: &mut ImportRow, meaning: Meaning, cell: &Cell<'_>) -> Result<(), Reason> {
    let values = &mut row.values;
    let field = match meaning {
        Meaning::Is(field) => field,
        Meaning::DisabledIf(disabled) => {
            if bool(cell)? == disabled {
                values.enabled = Some(false);
            }
            return Ok(());
        }
        Meaning::RevokedAt => return Err(Reason::Revoked),
    };
    match field {
        Field::Email => values.email = Some(Some(text(cell)?)),
        Field::Name => values.name = Some(Some(text(cell)?)),
        Field::GivenName => values.given_name = Some(Some(text(cell)?)),
        Field::FamilyName => values.family_name = Some(Some(text(cell)?)),
        Field::AvatarUrl => values.avatar_url = Some(Some(owned(url(cell)?)?)),
        Field::PortalRole => values.portal_role = Some(Some(text(cell)?)),
        Field::CompanyName => values.company_name = Some(Some(owned(name(cell)?)?)),
        Field::CustomerStatus => values.customer_status = Some(Some(text(cell)?)),
        Field::Locale => values.locale = Some(Some(text(cell)?)),
        Field::Role => values.role = Some(Some(role(cell)?)),
        Field::Enabled => values.enabled = Some(bool(cell)?),
        Field::AuthMethod => values.auth_method = Some(Some(str(cell)?.parse()?)),
        Field::Onboarded => values.onboarded = Some(bool(cell)?),
        Field::Source => row.origin.source = text::<Source>(cell)?,
        Field::ExternalId => row.origin.external_id = Some(id(cell)?),
        Field::Teams => values.teams = Some(teams(cell)?).filter(|teams| !teams.is_empty()),
        Field::PrimaryTeam => values.primary_team = Some(team(whole(cell)?)?),
        Field::LastSeenAt => row.last_seen_at = Some(time(cell)?),
    }
    Ok(())
}

fn str<'a>(cell: &'a Cell<'_>) -> Result<&'a str, Reason> {
    match cell {
        Cell::Untyped(text) => Ok(text),
        Cell::Text(text) => Ok(text),
        Cell::Twice => Err(Reason::Twice),
        Cell::List(_) | Cell::Object { .. } => Err(Reason::Nested),
        Cell::Nothing | Cell::Bool(_) | Cell::Whole(_) | Cell::Fraction => Err(Reason::NotText),
    }
}

fn owned<T: TryFrom<String, Error = InvalidText>>(text: &str) -> Result<T, Reason> {
    Ok(text.to_owned().try_into()?)
}

fn text<T: TryFrom<String, Error = InvalidText>>(cell: &Cell<'_>) -> Result<T, Reason> {
    owned(str(cell)?)
}

/// A text, or the name of an object.
fn name<'a>(cell: &'a Cell<'_>) -> Result<&'a str, Reason> {
    match cell {
        Cell::Object { name: Some(name), .. } => Ok(name),
        other => str(other),
    }
}

/// A text, or the URL that a picture has.
fn url<'a>(cell: &'a Cell<'_>) -> Result<&'a str, Reason> {
    match cell {
        Cell::Object { url: Some(url), .. } => Ok(url),
        other => str(other),
    }
}

fn bool(cell: &Cell<'_>) -> Result<bool, Reason> {
    match cell {
        Cell::Bool(value) => Ok(*value),
        // Spreadsheets write capitals.
        Cell::Untyped(text) if text.eq_ignore_ascii_case("true") => Ok(true),
        Cell::Untyped(text) if text.eq_ignore_ascii_case("false") => Ok(false),
        Cell::Twice => Err(Reason::Twice),
        _ => Err(Reason::NotABool),
    }
}

fn role(cell: &Cell<'_>) -> Result<Role, Reason> {
    Ok(str(cell)?.to_ascii_lowercase().parse()?)
}

fn id(cell: &Cell<'_>) -> Result<ExternalId, Reason> {
    match cell {
        Cell::Whole(number) => owned(&number.to_string()),
        Cell::Bool(_) | Cell::Fraction => Err(Reason::NotAnId),
        other => text(other),
    }
}

fn whole(cell: &Cell<'_>) -> Result<i128, Reason> {
    match cell {
        Cell::Whole(number) => Ok(*number),
        Cell::Untyped(text) => text.parse().map_err(|_| Reason::NotATeam),
        Cell::Twice => Err(Reason::Twice),
        _ => Err(Reason::NotATeam),
    }
}

fn team(number: i128) -> Result<TeamNumber, Reason> {
    let number = i64::try_from(number).map_err(|_| Reason::NotATeam)?;
    if number < TeamNumber::ROOT.0 {
        return Err(Reason::NotATeam);
    }
    Ok(TeamNumber(number))
}

/// Ascending, each once.
fn teams(cell: &Cell<'_>) -> Result<Vec<TeamNumber>, Reason> {
    let teams: Result<Vec<_>, _> = match cell {
        Cell::List(Some(numbers)) => numbers.iter().copied().map(team).collect(),
        Cell::Untyped(text) => {
            let numbers = text.split_ascii_whitespace().map(Cell::Untyped);
            numbers.map(|number| team(whole(&number)?)).collect()
        }
        Cell::Twice => return Err(Reason::Twice),
        _ => return Err(Reason::NotTeams),
    };
    let mut teams = teams?;
    teams.sort_unstable();
    teams.dedup();
    Ok(teams)
}

fn time(cell: &Cell<'_>) -> Result<Timestamp, Reason> {
    if let Cell::Whole(number) = cell {
        return time::of_number(*number);
    }
    let text = str(cell).map_err(|reason| match reason {
        Reason::NotText => Reason::NotATime,
        other => other,
    })?;
    text.parse().map_or_else(|_| time::of_text(text), time::of_number)
}
