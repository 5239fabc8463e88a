//! First and last names.

use super::{DisplayName, text::text};

text!(
    /// A user's first name. With the last one and a space between them it is a [`DisplayName`].
    GivenName, max 127
);
text!(
    /// A user's last name.
    FamilyName, max 127
);

/// The parts of a member's name, as far as they are known. Where one is, the name was made of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PersonName {
    pub given_name: Option<GivenName>,
    pub family_name: Option<FamilyName>,
}

impl PersonName {
    /// The name that they make. None: no part is known.
    pub(super) fn display_name(&self) -> Option<DisplayName> {
        let given = self.given_name.as_ref().map(GivenName::as_str);
        let family = self.family_name.as_ref().map(FamilyName::as_str);
        let parts: Vec<_> = given.into_iter().chain(family).collect();
        // Bounds of the parts are bounds of the whole.
        DisplayName::new(parts.join(" ")).ok()
    }
}
