//! Aligned columns for people.

use crate::cli::paint::{Paint, Tone, one_line};

/// What stands in an empty cell.
const DASH: &str = "-";

/// Rows under a header, each column as wide as its widest cell.
#[derive(Debug)]
pub struct Table {
    header: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
}

#[derive(Debug, Clone)]
pub struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    pub fn new(tone: Tone, text: impl AsRef<str>) -> Self {
        Self { text: one_line(text.as_ref()), tone }
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(Tone::Plain, text)
    }
}

impl Table {
    pub fn new<const COLUMNS: usize>(header: [&'static str; COLUMNS]) -> Self {
        Self { header: header.to_vec(), rows: Vec::new() }
    }
    /// Adds a row; an empty cell is shown as a dash, so that columns can be cut by scripts.
    pub fn row<const COLUMNS: usize>(&mut self, cells: [Cell; COLUMNS]) {
        let dash =
            |cell: Cell| if cell.text.is_empty() { Cell { text: DASH.to_owned(), ..cell } } else { cell };
        self.rows.push(cells.into_iter().map(dash).collect());
    }
    /// Leaves out the columns in which nothing stands.
    #[must_use]
    pub fn without_empty_columns(mut self) -> Self {
        let is_used = |column: &usize| {
            self.rows.iter().any(|row| row.get(*column).is_some_and(|cell| cell.text != DASH))
        };
        let used: Vec<usize> = (0..self.header.len()).filter(is_used).collect();
        self.header = used.iter().filter_map(|column| self.header.get(*column).copied()).collect();
        for row in &mut self.rows {
            *row = used.iter().filter_map(|column| row.get(*column).cloned()).collect();
        }
        self
    }
    pub fn render(&self, paint: Paint) -> String {
        self.indented("", paint)
    }
    /// With a margin before each line.
    pub fn indented(&self, margin: &str, paint: Paint) -> String {
        let widths: Vec<usize> = (0..self.header.len()).map(|column| self.width(column)).collect();
        let header: Vec<Cell> =
            self.header.iter().map(|title| Cell::new(Tone::Heading, title.to_uppercase())).collect();
        let mut out = String::new();
        for row in std::iter::once(&header).chain(&self.rows) {
            out.push_str(margin);
            out.push_str(&line(row, &widths, paint));
            out.push('\n');
        }
        out
    }

    fn width(&self, column: usize) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.get(column)).map(|cell| width(&cell.text));
        cells.chain(self.header.get(column).map(|title| width(title))).max().unwrap_or_default()
    }
}

fn line(row: &[Cell], widths: &[usize], paint: Paint) -> String {
    let mut out = String::new();
    for (place, (cell, column)) in row.iter().zip(widths).enumerate() {
        out.push_str(&paint.tone(cell.tone, &cell.text));
        if place + 1 < row.len() {
            out.push_str(&" ".repeat(column.saturating_sub(width(&cell.text)) + 2));
        }
    }
    out
}

fn width(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_lines_end_without_spaces() {
        let mut table = Table::new(["name", "effect", "summary"]);
        table.row(["é".into(), "read".into(), "a\nb".into()]);
        table.row(["longer".into(), "".into(), "c".into()]);
        let text = table.render(Paint::new(false));
        assert_eq!(text, "NAME    EFFECT  SUMMARY\né       read    a b\nlonger  -       c\n");
    }

    #[test]
    fn empty_columns_can_be_left_out() {
        let mut table = Table::new(["a", "b", "c"]);
        table.row(["1".into(), "".into(), "3".into()]);
        table.row(["".into(), "".into(), "6".into()]);
        let table = table.without_empty_columns();
        assert_eq!(table.render(Paint::new(false)), "A  C\n1  3\n-  6\n");
    }

    #[test]
    fn colour_does_not_shift_columns() {
        let mut table = Table::new(["a", "b"]);
        table.row([Cell::new(Tone::Bad, "failed"), "x".into()]);
        assert!(table.render(Paint::new(true)).ends_with("\u{1b}[31mfailed\u{1b}[0m  x\n"));
    }
}
