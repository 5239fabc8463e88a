//! Organizations: the tenants.

use super::{InvalidText, OrganizationId, Role, Timestamp, text::text};

text!(
    /// An organization's readable handle, unique in the deployment: lower-case ASCII letters, digits, and single
    /// hyphens between them.
    Slug, max 63, check_slug
);
text!(
    /// An organization's name as people write it.
    OrganizationName, max 255
);

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
    /// When it was made.
    pub created_at: Timestamp,
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
