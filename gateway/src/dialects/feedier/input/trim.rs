//! What Laravel 11 takes from both ends of a text.

/// A text without what `Str::trim` takes away.
pub(super) fn trim(text: &str) -> &str {
    text.trim_matches(is_trimmed)
}

/// White space as PCRE has it with Unicode, NUL, and Laravel's `Str::INVISIBLE_CHARACTERS`.
fn is_trimmed(letter: char) -> bool {
    letter.is_whitespace()
        || matches!(
            letter,
            '\0' | '\u{ad}'
                | '\u{34f}'
                | '\u{61c}'
                | '\u{115f}'..='\u{1160}'
                | '\u{17b4}'..='\u{17b5}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2060}'..='\u{2065}'
                | '\u{206a}'..='\u{206f}'
                | '\u{2800}'
                | '\u{3164}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{1d159}'
                | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0020}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every character that Laravel 11.56 on PHP 8.2 trims, asked one by one.
    const RECORDED: &str = "0000 0009 000A 000B 000C 000D 0020 0085 00A0 00AD 034F 061C 115F 1160 1680 17B4 17B5 180E \
        2000 2001 2002 2003 2004 2005 2006 2007 2008 2009 200A 200B 200C 200D 200E 200F 2028 2029 202F 205F 2060 2061 \
        2062 2063 2064 2065 206A 206B 206C 206D 206E 206F 2800 3000 3164 FEFF FFA0 1D159 1D173 1D174 1D175 1D176 1D177 \
        1D178 1D179 1D17A E0020";

    #[test]
    fn the_characters_that_laravel_trims_and_no_others() {
        let trimmed: Vec<_> = ('\0'..=char::MAX)
            .filter(|letter| is_trimmed(*letter))
            .map(|letter| format!("{:04X}", u32::from(letter)))
            .collect();
        assert_eq!(trimmed.join(" "), RECORDED);
        assert_eq!(trim("\u{feff} a \u{2060} b\u{200b}\0"), "a \u{2060} b");
    }
}
