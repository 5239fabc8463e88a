//! Parameters of statements that write many rows.

use std::fmt::Write as _;

/// How an engine wants the parameters of a long statement that each are in it once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parameters {
    /// `$1`, `$2`.
    Numbered,
    /// `?`. SQLite looks for the name of each parameter among all names, which takes long where there are thousands.
    InOrder,
}

/// Rows for VALUES: each has so many parameters of its own, which are bound first, row by row, and then these, which all have in
/// common and which are bound last.
pub(super) fn rows(own: usize, common: usize, rows: usize, parameters: Parameters) -> String {
    let mut sql = String::new();
    for row in 0..rows {
        let mut before = if row == 0 { "(" } else { ", (" };
        // A string takes whatever is written to it.
        for number in row * own + 1..=(row + 1) * own {
            let _ = match parameters {
                Parameters::Numbered => write!(sql, "{before}${number}"),
                Parameters::InOrder => write!(sql, "{before}?"),
            };
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
        let numbered = |own, common, count| rows(own, common, count, Parameters::Numbered);
        assert_eq!(numbered(2, 1, 2), "($1, $2, $5), ($3, $4, $5)");
        assert_eq!(numbered(1, 0, 3), "($1), ($2), ($3)");
        assert_eq!(
            rows(2, 2, 2, Parameters::InOrder),
            "(?, ?, $5, $6), (?, ?, $5, $6)"
        );
    }
}
