//! Cells of CSV that a spreadsheet would run as formulas.
//!
//! A spreadsheet takes a cell for a formula by its first character (OWASP, "CSV Injection"). Such a cell gets a `'` before it,
//! and so does one that looks as if it had got one: so every cell comes back as it was.

use std::borrow::Cow;

const QUOTE: char = '\'';

/// The cell, so that no spreadsheet runs it.
pub(super) fn guarded(cell: &str) -> Cow<'_, str> {
    if begins_a_formula(cell) || unguarded(cell) != cell {
        Cow::Owned(format!("{QUOTE}{cell}"))
    } else {
        Cow::Borrowed(cell)
    }
}

/// The cell as it was before [`guarded`].
pub(super) fn unguarded(cell: &str) -> &str {
    match cell.strip_prefix(QUOTE) {
        Some(rest) if rest.starts_with(QUOTE) || begins_a_formula(rest) => rest,
        _ => cell,
    }
}

fn begins_a_formula(cell: &str) -> bool {
    cell.starts_with(['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_spreadsheet_would_run_gets_a_quote_and_loses_it_again() {
        for cell in [
            "=1+1", "+49", "-1", "@SUM(A1)", "\t=1", "\r=1", "＝1", "＋1", "－1", "＠1", "'=1", "''", "''=1",
        ] {
            let guarded = guarded(cell);
            assert_eq!(*guarded, format!("'{cell}"));
            assert!(!begins_a_formula(&guarded), "{cell}");
            assert_eq!(unguarded(&guarded), cell);
        }
    }

    #[test]
    fn other_cells_stay_as_they_are() {
        for cell in ["", "a", "1=1", "'", "'a", "' =1", "O'Hara"] {
            assert_eq!(*guarded(cell), *cell);
            assert_eq!(unguarded(cell), cell);
        }
    }
}
