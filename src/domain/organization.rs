//! Organizations: the tenants.

use std::time::Duration;

use super::{InvalidText, OrganizationId, Role, Timestamp, event::changed, text::text};

text!(
    /// An organization's readable handle, unique in the deployment: lower-case ASCII letters, digits, and single
    /// hyphens between them.
    Slug, max 63, check_slug
);
text!(
    /// An organization's name as people write it.
    OrganizationName, max 255
);

/// A slug keeps all the rules of a name.
impl From<&Slug> for OrganizationName {
    fn from(slug: &Slug) -> Self {
        Self(slug.0.clone())
    }
}

/// A tenant. It can read and write its own rows and no others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Organization {
    /// Never changes, never used again.
    pub id: OrganizationId,
    /// Unique among the organizations that are not deleted.
    pub slug: Slug,
    /// Not unique.
    pub name: OrganizationName,
    /// The role that somebody gets who is linked as staff without one.
    pub default_role: Role,
    /// Members revoked this many days ago are erased. None: never.
    pub retention_days: Option<u16>,
    pub created_at: Timestamp,
    /// When it was deleted. Its rows stay.
    pub deleted_at: Option<Timestamp>,
}

impl Organization {
    /// Names of the fields that have another value than before: what the event of a change says.
    #[must_use]
    pub fn changes(before: &Self, after: &Self) -> Vec<&'static str> {
        changed([
            ("slug", before.slug != after.slug),
            ("name", before.name != after.name),
            ("default_role", before.default_role != after.default_role),
            ("retention_days", before.retention_days != after.retention_days),
            ("deleted_at", before.deleted_at != after.deleted_at),
        ])
    }

    /// When a member whose link ended at a moment is to be erased, and can't be restored any more. None: never.
    #[must_use]
    pub fn retention_end(&self, ended_at: Timestamp) -> Option<Timestamp> {
        let days = self.retention_days?;
        Some(ended_at.saturating_add(Duration::from_hours(24 * u64::from(days))))
    }
}

/// One way to name an organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrganizationRef {
    Id(OrganizationId),
    Slug(Slug),
}

/// New values for some fields of an organization. None leaves a field as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrganizationPatch {
    /// Unique among live organizations.
    pub slug: Option<Slug>,
    /// Not unique.
    pub name: Option<OrganizationName>,
    /// The role that somebody gets who is linked as staff without one.
    pub default_role: Option<Role>,
    /// In days. `Some(None)`: never erase.
    pub retention_days: Option<Option<u16>>,
}

impl OrganizationPatch {
    /// The organization with the new values.
    #[must_use]
    pub fn apply(self, organization: Organization) -> Organization {
        Organization {
            slug: self.slug.unwrap_or(organization.slug),
            name: self.name.unwrap_or(organization.name),
            default_role: self.default_role.unwrap_or(organization.default_role),
            retention_days: self.retention_days.unwrap_or(organization.retention_days),
            ..organization
        }
    }
}

fn check_slug(text: &str) -> Result<(), InvalidText> {
    let part = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    if text.split('-').all(part) {
        Ok(())
    } else {
        Err(InvalidText::NotASlug)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_is_lower_case_words_joined_by_single_hyphens() {
        for good in ["acme", "a", "acme-2", "7eleven"] {
            assert!(Slug::new(good).is_ok(), "{good}");
        }
        for bad in ["Acme", "-acme", "acme-", "ac--me", "ac me", "äcme", "a/b"] {
            assert_eq!(Slug::new(bad), Err(InvalidText::NotASlug), "{bad}");
        }
        assert_eq!(Slug::new(""), Err(InvalidText::Empty));
        assert_eq!(Slug::new("a".repeat(64)), Err(InvalidText::TooLong(63)));
    }
}
