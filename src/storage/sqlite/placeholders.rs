//! Parameters of statements that write many rows.

use std::fmt::Write as _;

/// Rows for VALUES: each has so many parameters of its own, which are bound first, row by row, and then these, which all have in
/// common and which are bound last. Only the latter are numbered: SQLite looks for the name of each parameter among all names, which
/// takes long where there are thousands.
pub(super) fn rows(own: usize, common: usize, rows: usize) -> String {
    let mut sql = String::new();
    for row in 0..rows {
        let mut before = if row == 0 { "(" } else { ", (" };
        // A string takes whatever is written to it.
        for _ in 0..own {
            let _ = write!(sql, "{before}?");
            before = ", ";
        }
        for number in rows * own + 1..=rows * own + common {
            let _ = write!(sql, "{before}${number}");
        }
        sql.push(')');
    }
    sql
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_share_their_last_parameters() {
        assert_eq!(rows(2, 2, 2), "(?, ?, $5, $6), (?, ?, $5, $6)");
        assert_eq!(rows(1, 0, 3), "(?), (?), (?)");
    }
}
