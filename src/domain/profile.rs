//! Profiles: what one organization knows of a user, and what it shows of it.

use oxilangtag::LanguageTag;

use super::{InvalidText, MemberId, Timestamp, UserId, text::text};

text!(
    /// An address. Compared byte for byte: case matters, nothing is trimmed (ProductBridge, "Retrieve a user").
    ///
    /// The check is only what every address has: something on both sides of an `@`, and no white space. Whether mail
    /// arrives is for the mail to say.
    Email, max 320, check_email
);
text!(
    /// A user's name as people write it.
    DisplayName, max 255
);
text!(
    /// Where a picture of the user is. Passed on as given: it is not fetched here.
    AvatarUrl, max 2048
);
text!(
    /// What an end user is in the organization's portal.
    PortalRole, max 64
);
text!(
    /// The company a user belongs to.
    CompanyName, max 255
);
text!(
    /// Where the user stands with the organization, such as `trial` or `paying`.
    CustomerStatus, max 64
);

text!(
    /// A language tag (BCP 47: RFC 5646 §2.1) such as `en` or `pt-BR`, well-formed and as given.
    Locale, max 35, check_locale
);

/// `end_user`: of whom nothing else is said.
impl Default for PortalRole {
    fn default() -> Self {
        Self("end_user".to_owned())
    }
}

/// What an organization knows of a user. Its own copy: no other organization sees or changes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// Unique among the organization's live members.
    pub email: Option<Email>,
    pub name: Option<DisplayName>,
    pub avatar_url: Option<AvatarUrl>,
    /// Role in the portal. None: no end user.
    pub portal_role: Option<PortalRole>,
    pub company_name: Option<CompanyName>,
    pub customer_status: Option<CustomerStatus>,
    /// The language in which the user is written to.
    pub locale: Option<Locale>,
}

/// A live link of a user to one organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicMember {
    pub id: MemberId,
    pub user_id: UserId,
    /// What the organization knows of them.
    pub profile: Profile,
    /// When the link was made.
    pub created_at: Timestamp,
}

/// What a member is looked up by. An email is taken as given: one that no member can have finds none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberLookup {
    UserId(UserId),
    /// The address in this organization, byte for byte.
    Email(String),
}

fn check_locale(text: &str) -> Result<(), InvalidText> {
    match LanguageTag::parse(text) {
        Ok(_) if text.len() >= 2 => Ok(()),
        _ => Err(InvalidText::NotALanguageTag),
    }
}

fn check_email(text: &str) -> Result<(), InvalidText> {
    let parts = text
        .rsplit_once('@')
        .filter(|(local, domain)| !local.is_empty() && !domain.is_empty());
    if parts.is_some() && !text.contains(char::is_whitespace) {
        Ok(())
    } else {
        Err(InvalidText::NotAnEmail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_locale_is_a_well_formed_language_tag() {
        for good in ["en", "pt-BR", "zh-Hant-TW", "de-CH-1996", "EN"] {
            assert!(Locale::new(good).is_ok(), "{good}");
        }
        for bad in ["e", "en_US", "en-", "-en", "english-us-x", "e n", "ä"] {
            assert_eq!(Locale::new(bad), Err(InvalidText::NotALanguageTag), "{bad}");
        }
        assert_eq!(Locale::new("a".repeat(36)), Err(InvalidText::TooLong(35)));
    }

    #[test]
    fn an_address_has_two_sides_and_no_white_space() {
        for good in [
            "sally@acme.example.com",
            "a@b",
            "\"odd@local\"@example.com",
            "jürgen@bücher.example",
        ] {
            assert!(Email::new(good).is_ok(), "{good}");
        }
        for bad in [
            "sally",
            "@acme",
            "sally@",
            "sally @acme",
            " sally@acme",
            "sally@acme\u{a0}",
        ] {
            assert_eq!(Email::new(bad), Err(InvalidText::NotAnEmail), "{bad:?}");
        }
        assert_eq!(Email::new("sally@acme\n"), Err(InvalidText::ControlCharacter));
        assert_eq!(
            Email::new(format!("{}@b", "ä".repeat(319))),
            Err(InvalidText::TooLong(320))
        );
        assert!(Email::new(format!("{}@b", "ä".repeat(318))).is_ok());
    }
}
