//! Organizations: the tenants.

use std::time::Duration;

use super::{Email, InvalidText, Locale, OrganizationId, Role, Timestamp, event::changed, text::text};

text!(
    /// An organization's readable handle, unique in the deployment: lower-case ASCII letters, digits, and single
    /// hyphens between them.
    Slug, max 63, check_slug
);
text!(
    /// An organization's name as people write it.
    OrganizationName, max 255
);

text!(
    /// Where an organization's logo is. Whoever reads a mail or a page fetches it from there; it is not fetched here.
    LogoUrl, max 2048, check_https
);

/// How an organization looks in mails, and on the pages that they lead to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Branding {
    /// How it calls itself. None: its name.
    pub name: Option<OrganizationName>,
    pub logo_url: Option<LogoUrl>,
    /// Whom mails are from. None: the server's address.
    pub sender: Option<Email>,
    /// The language for members who have none. None: English.
    pub locale: Option<Locale>,
}

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
    pub branding: Branding,
    pub created_at: Timestamp,
    /// When it was deleted. Its rows stay.
    pub deleted_at: Option<Timestamp>,
}

impl Organization {
    /// Names of the fields that have another value than before: what the event of a change says.
    #[must_use]
    pub fn changes(before: &Self, after: &Self) -> Vec<&'static str> {
        let (old, new) = (&before.branding, &after.branding);
        changed([
            ("slug", before.slug != after.slug),
            ("name", before.name != after.name),
            ("default_role", before.default_role != after.default_role),
            ("retention_days", before.retention_days != after.retention_days),
            ("branding.name", old.name != new.name),
            ("branding.logo_url", old.logo_url != new.logo_url),
            ("branding.sender", old.sender != new.sender),
            ("branding.locale", old.locale != new.locale),
            ("deleted_at", before.deleted_at != after.deleted_at),
        ])
    }

    /// How it calls itself in mails.
    #[must_use]
    pub fn brand_name(&self) -> &OrganizationName {
        self.branding.name.as_ref().unwrap_or(&self.name)
    }

    /// The language for a member who has this one, or none.
    #[must_use]
    pub fn locale_for<'a>(&'a self, own: Option<&'a Locale>) -> Option<&'a Locale> {
        own.or(self.branding.locale.as_ref())
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
    pub branding: BrandingPatch,
}

/// New values for some fields of a branding. None leaves a field as it is, `Some(None)` clears it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BrandingPatch {
    /// How it calls itself.
    pub name: Option<Option<OrganizationName>>,
    pub logo_url: Option<Option<LogoUrl>>,
    /// Whom mails are from.
    pub sender: Option<Option<Email>>,
    /// The language for members who have none.
    pub locale: Option<Option<Locale>>,
}

impl BrandingPatch {
    /// The branding with the new values.
    fn apply(self, branding: Branding) -> Branding {
        Branding {
            name: self.name.unwrap_or(branding.name),
            logo_url: self.logo_url.unwrap_or(branding.logo_url),
            sender: self.sender.unwrap_or(branding.sender),
            locale: self.locale.unwrap_or(branding.locale),
        }
    }
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
            branding: self.branding.apply(organization.branding),
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

/// A host after `https://`, and nothing that ends an attribute of HTML or a header.
fn check_https(text: &str) -> Result<(), InvalidText> {
    let is_odd = |letter: char| letter.is_whitespace() || "\"'<>\\`".contains(letter);
    match text.strip_prefix("https://") {
        Some(rest) if !rest.is_empty() && !rest.starts_with(['/', '?', '#']) && !text.contains(is_odd) => {
            Ok(())
        }
        _ => Err(InvalidText::NotAnHttpsUrl),
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

    #[test]
    fn a_logo_is_at_an_https_url() {
        for good in [
            "https://acme.example.com/logo.png",
            "https://a/b?c=d&e#f",
            "https://bücher.example",
        ] {
            assert!(LogoUrl::new(good).is_ok(), "{good}");
        }
        for bad in [
            "http://acme.example.com/logo.png",
            "javascript:alert(1)",
            "data:image/png;base64,",
            "https://",
            "https:///logo.png",
            "https://a/ b",
            "https://a/\"onerror",
            "//acme.example.com",
        ] {
            assert_eq!(LogoUrl::new(bad), Err(InvalidText::NotAnHttpsUrl), "{bad}");
        }
    }
}
