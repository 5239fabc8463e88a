//! What mails say, in each language.
//!
//! To add a language: its line in [`LANGUAGES`] and its texts in [`Texts::of`].

use crate::domain::{Locale, MailKind};

/// A language that mails are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    English,
    French,
}

/// By their tags, in lower case.
const LANGUAGES: [(&str, Language); 2] = [("en", Language::English), ("fr", Language::French)];

impl Language {
    /// The language for a tag, by look-up (RFC 4647 §3.4): `fr-CH` is French. English for one that there is not.
    pub(super) fn of(locale: Option<&Locale>) -> Self {
        let mut range = locale
            .map(|locale| locale.as_str().to_lowercase())
            .unwrap_or_default();
        loop {
            if let Some((_, language)) = LANGUAGES.iter().find(|(tag, _)| *tag == range) {
                return *language;
            }
            match range.rsplit_once('-') {
                Some((shorter, _)) => range.truncate(shorter.len()),
                None => return Self::English,
            }
        }
    }
}

/// The texts of one mail.
pub(super) struct Texts {
    /// The tag of the language.
    pub(super) language: &'static str,
    pub(super) subject: String,
    pub(super) greeting: String,
    /// Why it is sent.
    pub(super) reason: String,
    /// What the link does.
    pub(super) button: &'static str,
    /// How long the link works, and what to do if the mail was not expected.
    pub(super) note: &'static str,
}

impl Texts {
    /// Of a mail of an organization that calls itself `brand`, to somebody with this name.
    pub(super) fn of(kind: MailKind, language: Language, brand: &str, name: Option<&str>) -> Self {
        match (language, kind) {
            (Language::English, MailKind::Onboarding) => Self {
                language: "en",
                subject: format!("Welcome to {brand}"),
                greeting: greeting("Hello", name, ","),
                reason: format!("You have been given access to {brand}. Choose a password to begin."),
                button: "Choose a password",
                note: "The link works once, for 24 hours. After that, ask for a new one where you sign in.",
            },
            (Language::English, MailKind::PasswordReset) => Self {
                language: "en",
                subject: format!("Set a new password for {brand}"),
                greeting: greeting("Hello", name, ","),
                reason: format!("A new password was asked for, for your account at {brand}."),
                button: "Set a new password",
                note: "The link works once, for 24 hours. If you did not ask for it, do nothing: your password stays as it is.",
            },
            (Language::French, MailKind::Onboarding) => Self {
                language: "fr",
                subject: format!("Bienvenue chez {brand}"),
                greeting: greeting("Bonjour", name, ","),
                reason: format!(
                    "Un accès à {brand} vous a été ouvert. Choisissez un mot de passe pour commencer."
                ),
                button: "Choisir un mot de passe",
                note: "Le lien fonctionne une seule fois, pendant 24 heures. Ensuite, demandez-en un nouveau à l’endroit où vous vous connectez.",
            },
            (Language::French, MailKind::PasswordReset) => Self {
                language: "fr",
                subject: format!("Nouveau mot de passe pour {brand}"),
                greeting: greeting("Bonjour", name, ","),
                reason: format!("Un nouveau mot de passe a été demandé pour votre compte chez {brand}."),
                button: "Définir un nouveau mot de passe",
                note: "Le lien fonctionne une seule fois, pendant 24 heures. Si vous n’avez rien demandé, ne faites rien : votre mot de passe reste le même.",
            },
        }
    }
}

fn greeting(word: &str, name: Option<&str>, end: &str) -> String {
    match name {
        Some(name) => format!("{word} {name}{end}"),
        None => format!("{word}{end}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_is_looked_up_by_ever_shorter_tags() {
        for (tag, language) in [
            ("fr", Language::French),
            ("fr-CH", Language::French),
            ("FR-Latn-CA", Language::French),
            ("en-GB", Language::English),
            ("de", Language::English),
            ("frr", Language::English),
        ] {
            let locale = Locale::new(tag).unwrap();
            assert_eq!(Language::of(Some(&locale)), language, "{tag}");
        }
        assert_eq!(Language::of(None), Language::English);
    }
}
