//! Which texts are addresses.

/// The longest domain, in bytes (RFC 1035 §2.3.4).
const MAX_DOMAIN: usize = 253;

/// Whether Laravel's `email` rule lets a text through: RFC 5322 with the letters of RFC 6531, without comments. What the
/// directory does not take, white space and control characters, is no address here either.
pub(super) fn is_email(text: &str) -> bool {
    if text
        .chars()
        .any(|letter| letter.is_whitespace() || letter.is_control())
    {
        return false;
    }
    text.rsplit_once('@')
        .is_some_and(|(local, domain)| is_local(local) && is_domain(domain))
}

fn is_local(text: &str) -> bool {
    if let Some(quoted) = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
        return is_quoted(quoted);
    }
    text.split('.')
        .all(|atom| !atom.is_empty() && atom.chars().all(is_atom))
}

/// What is between quotes: a quote or a backslash only behind a backslash.
fn is_quoted(text: &str) -> bool {
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => return false,
            '\\' if letters.next().is_none() => return false,
            _ => {}
        }
    }
    !text.is_empty()
}

fn is_atom(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(letter) || !letter.is_ascii()
}

fn is_domain(text: &str) -> bool {
    if let Some(literal) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        return !literal.is_empty() && !literal.contains(['[', ']', '\\']);
    }
    text.len() <= MAX_DOMAIN
        && text.split('.').all(|label| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.chars().all(|letter| {
                    letter.is_ascii_alphanumeric() || letter == '-' || letter == '_' || !letter.is_ascii()
                })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_other_texts() {
        for good in [
            "john@example.com",
            "john.doe+tag@sub.example.com",
            "o'hara@example.com",
            "a@b",
            "jürgen@bücher.example",
            "\"odd@local\"@example.com",
            "\"a\\\"b\"@example.com",
            "john@[127.0.0.1]",
        ] {
            assert!(is_email(good), "{good}");
        }
        for bad in [
            "",
            "john",
            "@example.com",
            "john@",
            "john@@example.com",
            "john..doe@example.com",
            ".john@example.com",
            "john.@example.com",
            "john doe@example.com",
            "\"john doe\"@example.com",
            "john@exam ple.com",
            "john@example..com",
            "john@.com",
            "john@example.com.",
            "john@-example.com",
            "john@exam/ple.com",
            "\"john@example.com",
            "\"a\"b\"@example.com",
            "\"\"@example.com",
            "john@[]",
            "jo\u{7}hn@example.com",
            "john,jane@example.com",
        ] {
            assert!(!is_email(bad), "{bad:?}");
        }
        assert!(!is_email(&format!("john@{}", "a".repeat(254))));
    }
}
