//! Parameters of statements that write many rows.

use std::fmt::Write as _;

/// Rows for VALUES. Each begins with the first parameters, which all have in common, and goes on with so many of its own.
pub(super) fn rows(common: usize, own: usize, rows: usize) -> String {
    let mut sql = String::new();
    for row in 0..rows {
        let first = common + row * own + 1;
        let mut before = if row == 0 { "(" } else { ", (" };
        for parameter in (1..=common).chain(first..first + own) {
            // A string takes whatever is written to it.
            let _ = write!(sql, "{before}${parameter}");
            before = ", ";
        }
        sql.push(')');
    }
    sql
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_share_their_first_parameters() {
        assert_eq!(rows(1, 2, 2), "($1, $2, $3), ($1, $4, $5)");
        assert_eq!(rows(0, 1, 3), "($1), ($2), ($3)");
        assert_eq!(rows(2, 1, 1), "($1, $2, $3)");
    }
}
