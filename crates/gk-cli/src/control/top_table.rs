//! A table of `gilkeeper top`: cells that are sorted by their value and shown as text, and columns that fit a terminal. Also the texts of
//! numbers.

use gk_wire::printable;
use serde_json::Value;
use std::cmp::Ordering;

/// Characters between two columns.
pub const GAP: usize = 2;
/// Characters that the first column keeps in a narrow terminal, and that any column has in a wide one.
const NARROW: usize = 22;
const WIDE: usize = 48;

/// A cell.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Cell {
    /// As it is shown.
    pub text: String,
    /// As it is sorted; `None`: by its text, or after all numbers.
    pub value: Option<f64>,
}

impl Cell {
    /// Text of an application, a worker or a request.
    pub fn text(text: &str) -> Self {
        Self { text: printable::line(text).into_owned(), value: None }
    }

    /// A number of the API in one of the forms below; "–" when it is not known.
    pub fn of(value: &Value, form: fn(f64) -> String) -> Self {
        let value = value.as_f64();
        Self { text: value.map_or_else(|| "–".into(), form), value }
    }

    /// A number in one of the forms below.
    pub fn number(value: f64, form: fn(f64) -> String) -> Self {
        Self { text: form(value), value: Some(value) }
    }
}

/// A table.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Table {
    /// Headings, the most important ones first: a narrow terminal shows no others.
    pub head: Vec<&'static str>,
    /// Rows.
    pub rows: Vec<Vec<Cell>>,
    /// Sentences below.
    pub notes: Vec<String>,
}

/// The order of rows: a column, and whether its least value comes first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Order {
    /// Index of the column.
    pub column: usize,
    /// The least value first.
    pub rising: bool,
}

/// The columns that fit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fit {
    /// Their widths.
    pub widths: Vec<usize>,
    /// Columns without a place.
    pub hidden: usize,
}

impl Table {
    /// Sorts the rows. Rows with the same value stay as they are.
    pub fn sort(&mut self, order: Order) {
        let Order { column, rising } = order;
        let compare = |a: &Vec<Cell>, b: &Vec<Cell>| {
            let (Some(a), Some(b)) = (a.get(column), b.get(column)) else { return Ordering::Equal };
            let by_value = match (a.value, b.value) {
                (Some(a), Some(b)) => a.total_cmp(&b),
                // Unknown numbers are at the end in both orders.
                (Some(_), None) => return Ordering::Less,
                (None, Some(_)) => return Ordering::Greater,
                (None, None) => a.text.cmp(&b.text),
            };
            if rising { by_value } else { by_value.reverse() }
        };
        self.rows.sort_by(compare);
    }

    /// The columns that fit into so many characters: the first one is cut, then the last ones are left out.
    pub fn fit(&self, room: usize) -> Fit {
        let longest = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column)).map(|cell| length(&cell.text));
            // A heading may be followed by the sign of the order.
            cells.chain([length(self.head[column]) + 1]).max().unwrap_or(0).min(WIDE)
        };
        let mut widths: Vec<usize> = (0..self.head.len()).map(longest).collect();
        let all = widths.len();
        let needed = |widths: &[usize]| widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1);
        while needed(&widths) > room && widths.len() > 1 {
            let over = needed(&widths) - room;
            if widths[0] > NARROW {
                widths[0] = widths[0].saturating_sub(over).max(NARROW);
            } else {
                widths.pop();
            }
        }
        Fit { hidden: all - widths.len(), widths }
    }

    /// The cells of a row that fit, the first one cut.
    pub fn shown<'a>(row: &'a [Cell], fit: &'a Fit) -> impl Iterator<Item = String> + 'a {
        row.iter().zip(&fit.widths).map(|(cell, width)| cut(&cell.text, *width))
    }
}

/// The number of characters.
pub fn length(text: &str) -> usize {
    text.chars().count()
}

fn cut(text: &str, room: usize) -> String {
    if length(text) <= room {
        return text.to_owned();
    }
    text.chars().take(room.saturating_sub(1)).chain(['…']).collect()
}

// === numbers ===

/// A value of the API; 0 when it is not there.
pub fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(0.0)
}

/// Per second.
pub fn rate(value: f64) -> String {
    if value < 10.0 { format!("{value:.1}") } else { format!("{value:.0}") }
}

/// A number of things.
pub fn count(value: f64) -> String {
    format!("{value:.0}")
}

/// With two digits behind the point.
pub fn fine(value: f64) -> String {
    format!("{value:.2}")
}

/// A share of 0 to 1, in per cent. Few are not none.
pub fn share(value: f64) -> String {
    match value * 100.0 {
        0.0 => "0 %".into(),
        few if few < 0.1 => "<0.1 %".into(),
        some if some < 10.0 => format!("{some:.1} %"),
        many => format!("{many:.0} %"),
    }
}

/// Seconds.
pub fn seconds(value: f64) -> String {
    match value {
        v if v < 0.000_001 => "0".into(),
        v if v < 0.001 => format!("{:.0} µs", v * 1e6),
        v if v < 1.0 => format!("{:.1} ms", v * 1e3),
        v if v < 120.0 => format!("{v:.1} s"),
        v if v < 7200.0 => format!("{:.0} min", v / 60.0),
        v => format!("{:.0} h", v / 3600.0),
    }
}

/// Bytes.
pub fn size(value: f64) -> String {
    if value < 1e9 { format!("{:.0} MB", value / 1e6) } else { format!("{:.1} GB", value / 1e9) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let row = |name: &str, value: Option<f64>| {
            let number = Cell { text: value.map_or_else(|| "–".into(), seconds), value };
            vec![Cell::text(name), number.clone(), number]
        };
        Table {
            head: vec!["route", "p50", "p99"],
            rows: vec![row("/b", Some(0.009)), row("/a", None), row("/c", Some(0.010))],
            notes: Vec::new(),
        }
    }

    fn names(table: &Table) -> Vec<&str> {
        table.rows.iter().map(|row| row[0].text.as_str()).collect()
    }

    #[test]
    fn rows_are_sorted_by_value_and_not_by_text() {
        let mut table = table();
        table.sort(Order { column: 1, rising: false });
        assert_eq!(names(&table), ["/c", "/b", "/a"], "10 ms is more than 9 ms");
        table.sort(Order { column: 1, rising: true });
        assert_eq!(names(&table), ["/b", "/c", "/a"], "what is not known comes last");
        table.sort(Order { column: 0, rising: true });
        assert_eq!(names(&table), ["/a", "/b", "/c"]);
        table.sort(Order { column: 7, rising: true });
        assert_eq!(names(&table), ["/a", "/b", "/c"]);
    }

    #[test]
    fn the_first_column_is_cut_and_the_last_ones_are_left_out() {
        let mut table = table();
        table.rows[0][0] = Cell::text(&"/long".repeat(20));
        let wide = table.fit(200);
        assert_eq!((wide.widths.as_slice(), wide.hidden), ([48, 7, 7].as_slice(), 0));
        let narrow = table.fit(48);
        assert_eq!((narrow.widths.as_slice(), narrow.hidden), ([30, 7, 7].as_slice(), 0));
        let tiny = table.fit(32);
        assert_eq!((tiny.widths.as_slice(), tiny.hidden), ([22, 7].as_slice(), 1));
        let cells: Vec<String> = Table::shown(&table.rows[0], &tiny).collect();
        assert_eq!((length(&cells[0]), cells[0].ends_with('…'), cells.len()), (22, true, 2));
    }

    #[test]
    fn few_errors_are_not_none() {
        let shown = [0.0, 0.0004, 0.004, 0.25, 1.0].map(share);
        assert_eq!(shown, ["0 %", "<0.1 %", "0.4 %", "25 %", "100 %"]);
    }
}
