//! What the directory says, in the words of the pages.

use std::fmt::Write as _;

use prost_types::Timestamp;

use crate::{
    proto::directory_v1::{AuthMethod, Member, Role},
    response,
};

/// The roles of staff, the highest first.
pub(super) const ROLES: [Role; 5] = [
    Role::Owner,
    Role::Admin,
    Role::Editor,
    Role::Viewer,
    Role::RestrictedViewer,
];

pub(super) const fn role(role: Role) -> &'static str {
    match role {
        Role::Unspecified => "No role",
        Role::Owner => "Owner",
        Role::Admin => "Admin",
        Role::Editor => "Editor",
        Role::Viewer => "Viewer",
        Role::RestrictedViewer => "Restricted viewer",
    }
}

/// What somebody with the role may do.
pub(super) const fn role_hint(role: Role) -> &'static str {
    match role {
        Role::Unspecified => "Has no access",
        Role::Owner => "Everything, also to other owners",
        Role::Admin => "Manages people, but no owners",
        Role::Editor => "Changes content",
        Role::Viewer => "Reads everything",
        Role::RestrictedViewer => "Reads what is shared with them",
    }
}

/// As forms send it.
pub(super) const fn role_value(role: Role) -> &'static str {
    match role {
        Role::Unspecified => "",
        Role::Owner => "owner",
        Role::Admin => "admin",
        Role::Editor => "editor",
        Role::Viewer => "viewer",
        Role::RestrictedViewer => "restricted_viewer",
    }
}

/// The role of staff that a form sends.
pub(super) fn role_from(value: &str) -> Option<Role> {
    ROLES.into_iter().find(|&role| role_value(role) == value)
}

pub(super) const fn auth_method(method: AuthMethod) -> &'static str {
    match method {
        AuthMethod::Unspecified => "Not known",
        AuthMethod::Password => "With a password",
        AuthMethod::Oidc => "Through an identity provider",
    }
}

/// With a comma for every three digits.
pub(super) fn number(number: i64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// How a member is called: by name, else by address, else by number.
pub(super) fn label(member: &Member) -> String {
    let called = member.name.clone().or_else(|| member.email.clone());
    called.unwrap_or_else(|| format!("Member {}", member.number))
}

/// One or two letters for a member's sign. Marks that turn or join text are no letters.
pub(super) fn initials(label: &str) -> String {
    let first = |word: &str| word.chars().find(|letter| letter.is_alphanumeric());
    let mut letters = label.split([' ', '@', '.']).filter_map(first);
    let (one, two) = (letters.next(), letters.next());
    one.into_iter().chain(two).flat_map(char::to_uppercase).collect()
}

/// Which of the six colours a member's sign has.
pub(super) const fn hue(member: &Member) -> i64 {
    member.number.rem_euclid(6)
}

/// Whether a member may sign in, and has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Removed,
    Disabled,
    /// Has never been there.
    Invited,
    Active,
}

impl State {
    pub(super) const fn of(member: &Member) -> Self {
        if member.revoked_at.is_some() {
            Self::Removed
        } else if !member.enabled {
            Self::Disabled
        } else if member.onboarded || member.last_seen_at.is_some() {
            Self::Active
        } else {
            Self::Invited
        }
    }

    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Removed => "Removed",
            Self::Disabled => "Disabled",
            Self::Invited => "Invited",
            Self::Active => "Active",
        }
    }

    /// The class that gives it its colour.
    pub(super) const fn class(self) -> &'static str {
        match self {
            Self::Removed => "removed",
            Self::Disabled => "disabled",
            Self::Invited => "invited",
            Self::Active => "active",
        }
    }
}

/// A moment for people and for programs.
pub(super) struct Moment {
    pub(super) day: String,
    /// With the time of day, in UTC: nobody says where the visitor is.
    pub(super) text: String,
    pub(super) machine: String,
}

impl Moment {
    pub(super) fn of(time: Option<&Timestamp>) -> Option<Self> {
        time?;
        let time = response::time(time);
        Some(Self {
            day: time.strftime("%-d %b %Y").to_string(),
            text: time.strftime("%-d %b %Y, %H:%M UTC").to_string(),
            machine: format!("{time:.0}"),
        })
    }
}

/// What happened, as in "Ada *changed* Grace".
pub(super) fn event(kind: &str) -> &str {
    match kind {
        "organization.created" => "created the organization",
        "organization.updated" => "changed the organization",
        "organization.deleted" => "deleted the organization",
        "api_key.created" => "created an API key",
        "api_key.rotated" => "replaced an API key",
        "api_key.revoked" => "revoked an API key",
        "member.linked" => "added",
        "member.updated" => "changed",
        "member.revoked" => "removed",
        "member.restored" => "restored",
        "member.erased" => "erased all data of",
        "team.created" => "created a team",
        "team.renamed" => "renamed a team",
        "team.deleted" => "deleted a team",
        "credential.password_set" => "set the password of",
        "credential.reset_requested" => "asked for a password mail to",
        "session.created" => "opened a session on these pages for",
        "session.ended" => "ended a session on these pages of",
        "mail.sent" => "sent a mail to",
        "mail.failed" => "could not deliver a mail to",
        // Later versions have more.
        other => other,
    }
}

/// The same where somebody did it to themselves, if that has other words.
pub(super) fn event_of_oneself(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "member.updated" => "changed their own entry",
        "member.revoked" => "removed themselves",
        "credential.password_set" => "set their password",
        "credential.reset_requested" => "asked for a password mail",
        "session.created" => "signed in to these pages",
        "session.ended" => "signed out of these pages",
        _ => return None,
    })
}

/// The names of fields, as in "role, main team".
pub(super) fn fields(names: &[String]) -> String {
    let mut text = String::new();
    for name in names {
        let word = match name.as_str() {
            "auth_method" => "sign-in method",
            "avatar_url" => "picture",
            "company_name" => "company",
            "customer_status" => "customer status",
            "email" => "address",
            "enabled" => "enabled or disabled",
            "external_id" => "external id",
            "family_name" => "last name",
            "given_name" => "first name",
            "locale" => "language",
            "onboarded" => "onboarded or not",
            "portal_role" => "portal role",
            "primary_team" => "main team",
            "password_reset" => "password mail",
            "onboarding" => "welcome mail",
            other => other,
        };
        let comma = if text.is_empty() { "" } else { ", " };
        // Writing to a text does not fail.
        let _ = write!(text, "{comma}{word}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_is_read_as_it_is_written() {
        for role in ROLES {
            assert_eq!(role_from(role_value(role)), Some(role));
        }
        for unknown in ["", "OWNER", "root"] {
            assert_eq!(role_from(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn long_numbers_have_commas() {
        for (plain, written) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(number(plain), written);
        }
    }

    #[test]
    fn initials_are_letters_only() {
        for (label, expected) in [
            ("Ada Lovelace", "AL"),
            ("ada@example.com", "AE"),
            ("<script>alert(1)</script>", "S"),
            ("\u{202e}evil \u{1f600}", "E"),
            ("\u{1f600}", ""),
            ("stra\u{df}e", "S"),
            ("\u{df}", "SS"),
            ("Jean Luc Picard", "JL"),
        ] {
            assert_eq!(initials(label), expected, "{label}");
        }
    }

    #[test]
    fn a_state_says_what_counts_first() {
        let member = Member {
            enabled: true,
            ..Member::default()
        };
        assert_eq!(State::of(&member), State::Invited);
        let onboarded = Member {
            onboarded: true,
            ..member.clone()
        };
        assert_eq!(State::of(&onboarded), State::Active);
        let disabled = Member {
            enabled: false,
            ..onboarded
        };
        assert_eq!(State::of(&disabled), State::Disabled);
        let removed = Member {
            revoked_at: Some(Timestamp::default()),
            ..disabled
        };
        assert_eq!(State::of(&removed), State::Removed);
    }
}
