//! Parts of names and addresses, whatever their letter case.
//!
//! Folded names and addresses are columns of the member, with an index of their trigrams. It is asked with LIKE, which also
//! finds parts that are too short for a trigram: those are looked for in each member of the organization.

use sqlx::{Postgres, QueryBuilder};

use crate::{
    domain::{DisplayName, Email, Member, MemberFilter},
    storage::{fold::fold, postgres::columns::Statement},
};

/// What is searched, in the order of [`bind`].
pub(super) const COLUMNS: [&str; 2] = ["folded_name", "folded_email"];

/// Binds a member's folded name and address.
pub(super) fn bind<'q>(member: &Member, statement: Statement<'q>) -> Statement<'q> {
    let (name, email) = (&member.profile.name, &member.profile.email);
    statement
        .bind(name.as_ref().map(DisplayName::as_str).map(fold))
        .bind(email.as_ref().map(Email::as_str).map(fold))
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
        sql.push(" AND (");
        let mut either = "";
        for column in columns {
            for part in parts {
                sql.push(either).push("m.").push(column).push(" LIKE ");
                sql.push_bind(pattern(part));
                either = " OR ";
            }
        }
        sql.push(")");
    }
}

/// A pattern that finds a part as it stands. A NUL, which no member has, can't be asked for: nothing matches NULL.
fn pattern(part: &str) -> Option<String> {
    if part.contains('\0') {
        return None;
    }
    let mut pattern = String::with_capacity(part.len() + 2);
    pattern.push('%');
    for character in fold(part).chars() {
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
