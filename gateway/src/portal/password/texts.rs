//! The words of the page, in its languages.

use axum::http::HeaderMap;

use super::accepted;

pub(super) struct Texts {
    /// For `lang`.
    pub(super) language: &'static str,
    pub(super) title: &'static str,
    pub(super) intro: &'static str,
    pub(super) password: &'static str,
    pub(super) repeated: &'static str,
    pub(super) submit: &'static str,
    pub(super) trouble: &'static str,
    pub(super) not_the_same: &'static str,
    pub(super) too_common: &'static str,
    pub(super) done: &'static str,
    pub(super) done_text: &'static str,
    pub(super) over: &'static str,
    pub(super) over_text: &'static str,
    /// Around the numbers of the fewest and most characters.
    length: [&'static str; 3],
}

const ENGLISH: Texts = Texts {
    language: "en",
    title: "Set your password",
    intro: "Any characters will do, spaces too. A sentence that only you know is a good password, and so is what a password \
            manager makes up.",
    password: "New password",
    repeated: "The same again",
    submit: "Set password",
    trouble: "The password was not set",
    not_the_same: "The two passwords are not the same.",
    too_common: "This password is one of those that are tried first. Choose another one.",
    done: "Your password is set",
    done_text: "You can close this page and sign in with it now.",
    over: "This link does not work any more",
    over_text: "A link works once, for 24 hours, and until a newer one is sent. Ask for a new mail where you wanted to \
                sign in.",
    length: ["Use ", " to ", " characters."],
};

const FRENCH: Texts = Texts {
    language: "fr",
    title: "Choisissez votre mot de passe",
    intro: "Tous les caract\u{e8}res conviennent, les espaces aussi. Une phrase que vous seul connaissez fait un bon mot de \
            passe, tout comme ce que propose un gestionnaire de mots de passe.",
    password: "Nouveau mot de passe",
    repeated: "Encore une fois le m\u{ea}me",
    submit: "Enregistrer le mot de passe",
    trouble: "Le mot de passe n\u{2019}a pas \u{e9}t\u{e9} enregistr\u{e9}",
    not_the_same: "Les deux mots de passe sont diff\u{e9}rents.",
    too_common: "Ce mot de passe est de ceux que l\u{2019}on essaie en premier. Choisissez-en un autre.",
    done: "Votre mot de passe est enregistr\u{e9}",
    done_text: "Vous pouvez fermer cette page et vous connecter d\u{e8}s maintenant.",
    over: "Ce lien ne fonctionne plus",
    over_text: "Un lien fonctionne une seule fois, pendant 24 heures, et jusqu\u{2019}\u{e0} l\u{2019}envoi d\u{2019}un lien \
                plus r\u{e9}cent. Demandez un nouveau message l\u{e0} o\u{f9} vous vouliez vous connecter.",
    length: ["Utilisez de ", " \u{e0} ", " caract\u{e8}res."],
};

impl Texts {
    /// In this language if it is known, else in the one that the browser asks for first, else in English.
    pub(super) fn of(locale: &str, headers: &HeaderMap) -> &'static Self {
        let wanted = if locale.is_empty() {
            accepted(headers)
        } else {
            locale
        };
        let language = wanted.split(['-', ',', ';']).next().unwrap_or_default();
        if language.eq_ignore_ascii_case("fr") {
            &FRENCH
        } else {
            &ENGLISH
        }
    }

    /// How long a password is.
    pub(super) fn length(&self, min: i32, max: i32) -> String {
        let [before, between, after] = self.length;
        format!("{before}{min}{between}{max}{after}")
    }
}

#[cfg(test)]
mod tests {
    use axum::http::header::ACCEPT_LANGUAGE;

    use super::*;

    #[test]
    fn the_members_language_counts_before_the_browsers() {
        for (locale, accepted, expected) in [
            ("fr", "en", "fr"),
            ("fr-CA", "", "fr"),
            ("en-GB", "fr", "en"),
            ("", "fr-FR,fr;q=0.9,en;q=0.8", "fr"),
            ("", "en-US,fr;q=0.5", "en"),
            ("", "", "en"),
            ("de", "fr", "en"),
            ("fry", "fr", "en"),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_LANGUAGE, accepted.parse().unwrap());
            assert_eq!(
                Texts::of(locale, &headers).language,
                expected,
                "{locale} {accepted}"
            );
        }
    }

    #[test]
    fn the_length_is_said_with_its_numbers() {
        assert_eq!(ENGLISH.length(8, 256), "Use 8 to 256 characters.");
        assert_eq!(FRENCH.length(8, 256), "Utilisez de 8 \u{e0} 256 caract\u{e8}res.");
    }
}
