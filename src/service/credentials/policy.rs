//! Which passwords are refused: those that are tried first (NIST SP 800-63B §5.1.1.2). Nothing is asked of their
//! composition.

use zxcvbn::zxcvbn;

use crate::domain::{DisplayName, Email, FamilyName, GivenName, Member, Organization, Password};

/// Somebody who guesses what people choose gets to a refused password with fewer guesses than this.
const TRIED_FIRST: u64 = 1_000_000;

/// What everybody knows of us.
const SERVICE: &str = "userbridge";

/// Whether it is a common password, a word, a row of keys or of the same characters, or what everybody knows of the member
/// and its organization; or little more than that.
pub(super) fn is_tried_first(password: &Password, member: &Member, organization: &Organization) -> bool {
    let (profile, person) = (&member.profile, &member.person);
    let email = profile.email.as_ref().map(Email::as_str);
    let local = email
        .and_then(|email| email.rsplit_once('@'))
        .map(|(local, _)| local);
    let names = [
        profile.name.as_ref().map(DisplayName::as_str),
        person.given_name.as_ref().map(GivenName::as_str),
        person.family_name.as_ref().map(FamilyName::as_str),
        Some(organization.name.as_str()),
        Some(organization.slug.as_str()),
    ];
    let names = names.into_iter().flatten();
    let known: Vec<_> = names
        .clone()
        .flat_map(str::split_whitespace)
        .chain(names.clone())
        .chain(email)
        .chain(local)
        .chain([SERVICE])
        .collect();
    zxcvbn(password.reveal(), &known).guesses() < TRIED_FIRST
}
