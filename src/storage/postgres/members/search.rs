//! Parts of names and addresses, whatever their letter case.
//!
//! Folded names and addresses are columns of the member, with one index of the trigrams of both. It finds those who have a part
//! somewhere, and of them it is asked where. Parts that are too short for a trigram are looked for in each member of the organization.

use sqlx::{Postgres, QueryBuilder};

use crate::{
    domain::{DisplayName, Email, Member, MemberFilter},
    storage::{fold::fold, postgres::columns::Binds},
};

/// What is searched, in the order of [`bind`].
pub(super) const COLUMNS: [&str; 2] = ["folded_name", "folded_email"];

/// What the index `members_text` has of a member `m`.
const TEXT: &str = "(coalesce(m.folded_name, '') || ' ' || coalesce(m.folded_email, ''))";

/// The fewest characters of which an index of trigrams knows anything.
const TRIGRAM: usize = 3;

/// Binds a member's folded name and address.
pub(super) fn bind<'q, V: Binds<'q>>(member: &Member, values: V) -> V {
    let email = member.profile.email.as_ref();
    values
        .bind(folded_name(member))
        .bind(email.map(Email::as_str).map(fold))
}

pub(super) fn folded_name(member: &Member) -> Option<String> {
    let name = member.profile.name.as_ref();
    name.map(DisplayName::as_str).map(fold)
}

/// Adds the conditions of a filter that ask for parts.
pub(super) fn push(sql: &mut QueryBuilder<Postgres>, filter: &MemberFilter) {
    let [name, email] = COLUMNS;
    let asked: [(&[&str], &[String]); 3] = [
        (&[name], &filter.name_parts),
        (&[email], &filter.email_parts),
        (&[name, email], filter.text.as_slice()),
    ];
    for (columns, parts) in asked {
        if parts.is_empty() {
            continue;
        }
        if parts.iter().all(|part| part.chars().count() >= TRIGRAM) {
            let mut either = " AND (";
            for part in parts {
                sql.push(either).push(TEXT).push(" LIKE ");
                sql.push_bind(pattern(part));
                either = " OR ";
            }
            sql.push(")");
        }
        let mut either = " AND (";
        for column in columns {
            for part in parts {
                sql.push(either).push("strpos(m.").push(column).push(", ");
                sql.push_bind(asked_for(part)).push(") > 0");
                either = " OR ";
            }
        }
        sql.push(")");
    }
}

/// A part as it is looked for. A NUL, which no member has, can't be asked for: nothing has NULL.
fn asked_for(part: &str) -> Option<String> {
    (!part.contains('\0')).then(|| fold(part))
}

/// A pattern that finds a part as it stands.
fn pattern(part: &str) -> Option<String> {
    let part = asked_for(part)?;
    let mut pattern = String::with_capacity(part.len() + 2);
    pattern.push('%');
    for character in part.chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push('%');
    Some(pattern)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_finds_a_part_as_it_stands() {
        assert_eq!(pattern("Sally").as_deref(), Some("%sally%"));
        assert_eq!(pattern(r"100%_\").as_deref(), Some(r"%100\%\_\\%"));
        assert_eq!(pattern("a\0b"), None);
    }
}
