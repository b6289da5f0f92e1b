//! Tables for people: columns aligned, a bold header. Folded to the terminal's width; never cut.
//!
//! Widths count characters, which is right for what we print: names, versions, times.

use anstyle::Style;

use super::style::{BAD, GOOD, HEADER, WARN, paint};

/// The space between two columns.
const GAP: usize = 2;
/// No column is folded narrower than this.
const NARROWEST: usize = 8;

/// How a cell is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tone {
    /// As it is.
    #[default]
    Plain,
    /// As it should be.
    Good,
    /// Wants attention.
    Warn,
    /// Wrong.
    Bad,
}

impl Tone {
    fn style(self) -> Style {
        match self {
            Tone::Plain => Style::new(),
            Tone::Good => GOOD,
            Tone::Warn => WARN,
            Tone::Bad => BAD,
        }
    }
}

/// One field of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// A coloured field; the text must say the same without the colour.
    pub fn toned(text: impl Into<String>, tone: Tone) -> Self {
        Cell { text: text.into(), tone }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Cell { text: text.into(), tone: Tone::Plain }
    }
}

/// Rows under a header.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    header: Vec<Cell>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// An empty table with these columns.
    pub fn new<const N: usize>(header: [&str; N]) -> Self {
        Table { header: header.map(Cell::from).into(), rows: Vec::new() }
    }

    /// Adds a row. It should have a cell for each column.
    pub fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The table as text, with styles; folded to `width` when there is one.
    pub fn render(&self, width: Option<usize>) -> String {
        let widths = self.widths(width);
        let mut text = String::new();
        render_row(&mut text, &self.header, &widths, Some(HEADER));
        for row in &self.rows {
            render_row(&mut text, row, &widths, None);
        }
        text
    }

    /// The widths of the columns: what they need, and less for the widest ones until all fit.
    fn widths(&self, limit: Option<usize>) -> Vec<usize> {
        let mut widths = vec![0; self.header.len()];
        for row in std::iter::once(&self.header).chain(&self.rows) {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.text.lines().map(|line| line.chars().count()).max().unwrap_or(0).max(*width);
            }
        }
        let Some(limit) = limit else { return widths };
        let room = limit.saturating_sub(GAP * widths.len().saturating_sub(1));
        while widths.iter().sum::<usize>() > room {
            match widths.iter_mut().max() {
                Some(widest) if *widest > NARROWEST => *widest -= 1,
                _ => break,
            }
        }
        widths
    }
}

fn render_row(text: &mut String, row: &[Cell], widths: &[usize], style: Option<Style>) {
    let folded: Vec<Vec<String>> = row.iter().zip(widths).map(|(cell, width)| fold(&cell.text, *width)).collect();
    let height = folded.iter().map(Vec::len).max().unwrap_or(0);
    for index in 0..height {
        let mut pending = 0;
        for ((lines, cell), width) in folded.iter().zip(row).zip(widths) {
            let part = lines.get(index).map_or("", String::as_str);
            // Padding is written only before the next text, so no line ends in spaces.
            if !part.is_empty() {
                text.push_str(&" ".repeat(pending));
                pending = 0;
                let style = style.unwrap_or(cell.tone.style());
                text.push_str(&paint(style, part));
            }
            pending += width - part.chars().count() + GAP;
        }
        text.push('\n');
    }
}

/// Lines of at most `width` characters, broken at spaces where there are some.
fn fold(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for line in text.lines() {
        let mut rest: Vec<char> = line.chars().collect();
        while rest.len() > width {
            let space = rest[..=width].iter().rposition(|c| *c == ' ').filter(|at| *at > 0);
            let tail = rest.split_off(space.unwrap_or(width));
            lines.push(rest.into_iter().collect());
            rest = tail.into_iter().skip(usize::from(space.is_some())).collect();
        }
        lines.push(rest.into_iter().collect());
    }
    lines
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use proptest::prelude::*;

    use super::*;

    fn services() -> Table {
        let mut table = Table::new(["SERVICE", "STATE", "IMAGE"]);
        table.row(["postgres".into(), Cell::toned("ready", Tone::Good), "pupperware/postgres:17.2".into()]);
        table.row(["puppetserver".into(), Cell::toned("starting: compiling classes", Tone::Warn), "".into()]);
        table.row(["bridge".into(), "".into(), "none".into()]);
        table
    }

    fn text(width: Option<usize>) -> String {
        anstream::adapter::strip_str(&services().render(width)).to_string()
    }

    #[test]
    fn aligned_to_what_is_needed() {
        assert_snapshot!(text(None), @"
        SERVICE       STATE                        IMAGE
        postgres      ready                        pupperware/postgres:17.2
        puppetserver  starting: compiling classes
        bridge                                     none
        ");
    }

    #[test]
    fn folded_on_a_narrow_terminal() {
        assert_snapshot!(text(Some(44)), @"
        SERVICE       STATE           IMAGE
        postgres      ready           pupperware/pos
                                      tgres:17.2
        puppetserver  starting:
                      compiling
                      classes
        bridge                        none
        ");
    }

    #[test]
    fn the_header_is_bold_and_tones_are_coloured() {
        let text = services().render(None);
        assert!(text.starts_with("\u{1b}[1mSERVICE\u{1b}[0m"), "{text:?}");
        assert!(text.contains("\u{1b}[32mready\u{1b}[0m"), "{text:?}");
    }

    proptest! {
        #[test]
        fn folding_loses_nothing_but_spaces(text in "[a-z ]{0,60}", width in 1usize..20) {
            let lines = fold(&text, width);
            prop_assert!(lines.iter().all(|line| line.chars().count() <= width));
            prop_assert_eq!(lines.concat().replace(' ', ""), text.replace(' ', ""));
        }
    }
}
