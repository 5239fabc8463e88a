//! Rows for people: on a terminal in columns under headings, elsewhere separated by tabs and without headings.

use std::io::{self, IsTerminal as _, Write as _};

use unicode_width::UnicodeWidthStr as _;

/// Rows that wait for their columns' widths. Further ones may be wider: a long list is not kept in memory.
const WAITING: usize = 500;

/// Between columns, in blanks.
const GAP: usize = 2;

/// Columns of a row: heading and cell.
pub(super) type Columns<'a> = Vec<(&'static str, &'a str)>;

pub(super) struct Table {
    is_terminal: bool,
    rows: Vec<Vec<String>>,
    widths: Vec<usize>,
}

impl Table {
    pub(super) fn new() -> Self {
        Self {
            is_terminal: io::stdout().is_terminal(),
            rows: Vec::new(),
            widths: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, columns: &Columns<'_>) -> io::Result<()> {
        if !self.is_terminal {
            let cells: Vec<&str> = columns.iter().map(|(_, cell)| *cell).collect();
            return writeln!(io::stdout(), "{}", cells.join("\t"));
        }
        self.add(columns);
        if self.rows.len() > WAITING {
            self.flush()?;
        }
        Ok(())
    }

    /// Writes the rows that wait.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        io::stdout().write_all(self.lines().as_bytes())
    }

    fn add(&mut self, columns: &Columns<'_>) {
        if self.widths.is_empty() {
            self.widths = vec![0; columns.len()];
            self.add_row(columns.iter().map(|(heading, _)| *heading));
        }
        self.add_row(columns.iter().map(|(_, cell)| *cell));
    }

    fn add_row<'a>(&mut self, cells: impl Iterator<Item = &'a str>) {
        let cells: Vec<String> = cells.map(str::to_owned).collect();
        for (width, cell) in self.widths.iter_mut().zip(&cells) {
            *width = cell.width().max(*width);
        }
        self.rows.push(cells);
    }

    fn lines(&mut self) -> String {
        let mut lines = String::new();
        for cells in self.rows.drain(..) {
            for (cell, width) in cells.iter().zip(&self.widths) {
                lines.push_str(cell);
                // Not by `{:width$}`, which counts characters: some are two columns wide, and some none.
                lines.extend(std::iter::repeat_n(' ', width - cell.width() + GAP));
            }
            lines.truncate(lines.trim_end_matches(' ').len());
            lines.push('\n');
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_later_rows_widen_them() {
        let mut table = Table {
            is_terminal: true,
            rows: Vec::new(),
            widths: Vec::new(),
        };
        table.add(&vec![("SLUG", "acme"), ("NAME", "Acme Inc"), ("ID", "1")]);
        table.add(&vec![("SLUG", "東京"), ("NAME", ""), ("ID", "2")]);
        assert_eq!(
            table.lines(),
            "SLUG  NAME      ID\nacme  Acme Inc  1\n東京            2\n"
        );
        table.add(&vec![("SLUG", "globex"), ("NAME", "-"), ("ID", "3")]);
        assert_eq!(table.lines(), "globex  -         3\n");
        assert_eq!(table.lines(), "");
    }
}
