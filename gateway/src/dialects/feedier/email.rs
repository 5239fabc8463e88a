//! Which texts are addresses.

use idna::{
    AsciiDenyList, punycode,
    uts46::{DnsLength, Hyphens, Uts46},
};
use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory as _};

/// The longest domain, in bytes (RFC 1035 §2.3.4).
const MAX_DOMAIN: usize = 253;

/// The longest label of a domain, in bytes of its ASCII form (RFC 1035 §2.3.4).
const MAX_LABEL: usize = 63;

/// Whether Laravel's `email` rule (egulias/email-validator) lets a text through: RFC 5322 with the letters of RFC 6531,
/// without comments. What the directory does not take, white space and control characters, is no address here either.
pub(super) fn is_email(text: &str) -> bool {
    text.chars().all(is_seen)
        && text
            .rsplit_once('@')
            .is_some_and(|(local, domain)| is_local(local) && is_domain(domain))
}

/// Not what egulias refuses everywhere (`\p{C}`, `\p{S}`), nor what has no width: no two addresses look the same because
/// one has more of it.
fn is_seen(letter: char) -> bool {
    if letter.is_ascii() {
        return letter.is_ascii_graphic();
    }
    let refused = matches!(
        letter.general_category_group(),
        GeneralCategoryGroup::Other | GeneralCategoryGroup::Symbol | GeneralCategoryGroup::Separator
    );
    !refused && !is_ignorable(letter)
}

/// Characters that Unicode calls `Default_Ignorable_Code_Point`, but for those that are `\p{C}`.
const fn is_ignorable(letter: char) -> bool {
    matches!(
        letter,
        '\u{34f}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{ffa0}'
            | '\u{e0100}'..='\u{e01ef}'
    )
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
    text.len() <= MAX_DOMAIN && text.split('.').all(is_label)
}

fn is_label(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with('-')
        && !text.ends_with('-')
        && text
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || letter == '-' || !letter.is_ascii())
        && ascii_len(text) <= MAX_LABEL
}

/// How long a label is in its ASCII form (RFC 5890 §2.3.2.1). One that has none, because it breaks another rule of IDNA,
/// is as long as it would be.
fn ascii_len(label: &str) -> usize {
    let ascii = Uts46::new().to_ascii(
        label.as_bytes(),
        AsciiDenyList::EMPTY,
        Hyphens::Allow,
        DnsLength::Ignore,
    );
    match ascii {
        Ok(ascii) => ascii.split('.').map(str::len).max().unwrap_or_default(),
        Err(_) => punycode::encode_str(label).map_or(usize::MAX, |code| "xn--".len() + code.len()),
    }
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
            "john_doe@a--b.example",
            "$+=^`|~@example.com",
            "지원@예시.example",
            "e\u{301}@example.com",
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
            "john@a_b.example",
            "john@a|b.example",
            // Symbols.
            "john€@example.com",
            "john@€.example",
            "😀@example.com",
            "´john´@example.com",
            // Format characters, private and unassigned ones.
            "jo\u{ad}hn@example.com",
            "jo\u{200b}hn@example.com",
            "\u{202e}john@example.com",
            "\"jo\u{200d}hn\"@example.com",
            "john@exa\u{2060}mple.com",
            "john\u{e0041}@example.com",
            "john\u{e000}@example.com",
            "john\u{378}@example.com",
            // What else nobody sees.
            "john\u{a0}@example.com",
            "john\u{fe0f}@example.com",
            "john\u{34f}@example.com",
            "john\u{2800}@example.com",
            "john\u{3164}@example.com",
            "john\u{e0101}@example.com",
        ] {
            assert!(!is_email(bad), "{bad:?}");
        }
    }

    #[test]
    fn labels_have_63_bytes_and_domains_253() {
        let is_domain = |domain: &str| is_email(&format!("john@{domain}"));
        let label = "a".repeat(63);
        assert!(is_domain(&label) && is_domain(&format!("b.{label}.c")));
        assert!(!is_domain(&format!("{label}a")) && !is_domain(&format!("b.{label}a.c")));
        // 63 and 64 bytes as ASCII.
        assert!(is_domain(&format!("{}.example", "ü".repeat(57))));
        assert!(!is_domain(&format!("{}.example", "ü".repeat(58))));
        let domain = [&label[..], &label, &label, &label[..61]].join(".");
        assert_eq!(domain.len(), 253);
        assert!(is_domain(&domain) && !is_domain(&format!("{domain}a")));
    }
}
