//! The pictures of the HTML page, as SVG without a script: distributions as small pictures one below the other on one axis,
//! and bars. Numbers in, text out.

use std::fmt::Write as _;

/// Width of a picture, and of the part left of the axis, in SVG's units.
const WIDTH: f64 = 960.0;
const LEFT: f64 = 200.0;
const RIGHT: f64 = 20.0;
/// Height of a distribution and of a bar.
const TALL: f64 = 64.0;
const BAR: f64 = 26.0;
const FOOT: f64 = 26.0;
/// Width of the word beside a line.
const WORD: f64 = 26.0;
/// Most characters of a name beside a picture; the table has the whole one.
const NAME: usize = 28;
/// Bins of a distribution.
const BINS: usize = 140;
/// Most marks of one row.
const MARKS: usize = 40;

/// Text with the special characters of HTML and SVG escaped.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// One distribution of a picture.
pub struct Shape {
    /// Label beside it.
    pub name: String,
    /// Smaller text below the label.
    pub about: String,
    /// (from, to, count), in the axis' unit.
    pub parts: Vec<(f64, f64, f64)>,
    /// Distance of the marks; none without.
    pub every: Option<f64>,
    /// Lines with a word: (where, word).
    pub lines: Vec<(f64, &'static str)>,
}

/// Where a value lies on the axis, 0..1.
#[derive(Clone, Copy)]
pub enum Axis {
    /// From 0 to here.
    Linear(f64),
    /// From, to.
    Logarithmic(f64, f64),
}

impl Axis {
    fn place(self, value: f64) -> f64 {
        match self {
            Self::Linear(most) => (value / most).clamp(0.0, 1.0),
            Self::Logarithmic(least, most) => {
                ((value.max(least) / least).ln() / (most / least).ln()).clamp(0.0, 1.0)
            }
        }
    }

    fn ticks(self) -> Vec<f64> {
        match self {
            Self::Linear(most) => {
                let rough = most / 8.0;
                let power = 10f64.powf(rough.log10().floor());
                let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * power).find(|s| *s >= rough);
                let step = step.unwrap_or(power * 10.0);
                (0..).map(|n| f64::from(n) * step).take_while(|value| *value <= most * 1.0001).collect()
            }
            Self::Logarithmic(least, most) => {
                let first = least.log10().floor() as i32;
                let all = (first..12).flat_map(|power| [1.0, 2.0, 5.0].map(|m| m * 10f64.powi(power)));
                all.filter(|value| (least..=most).contains(value)).collect()
            }
        }
    }
}

fn x(share: f64) -> f64 {
    LEFT + share * (WIDTH - LEFT - RIGHT)
}

fn open(height: f64, label: &str) -> String {
    format!("<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{}\">\n", escaped(label))
}

fn name(out: &mut String, text: &str, y: f64) {
    let (at, whole) = (LEFT - 10.0, escaped(text));
    let shown = match text.chars().count() {
        0..=NAME => whole,
        _ => {
            let begin: String = text.chars().take(NAME - 1).collect();
            format!("{}…<title>{whole}</title>", escaped(begin.trim_end()))
        }
    };
    let _ = writeln!(out, "<text class=\"name\" x=\"{at}\" y=\"{y:.1}\">{shown}</text>");
}

fn ticks(out: &mut String, axis: Axis, height: f64, unit: &str) {
    for value in axis.ticks() {
        let at = x(axis.place(value));
        let _ = writeln!(
            out,
            "<line class=\"grid\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"0\" y2=\"{:.1}\"/>",
            height - FOOT
        );
        let text = format!("{}", (value * 1e6).round() / 1e6);
        let _ = writeln!(out, "<text class=\"tick\" x=\"{at:.1}\" y=\"{:.1}\">{text}</text>", height - 12.0);
    }
    let _ = writeln!(
        out,
        "<text class=\"unit\" x=\"{:.1}\" y=\"{:.1}\">{unit}</text>",
        WIDTH - RIGHT,
        height - 1.0
    );
}

/// Distributions one below the other on one axis; each has its own height.
pub fn distributions(shapes: &[Shape], axis: Axis, unit: &str, label: &str) -> String {
    let height = shapes.len() as f64 * TALL + FOOT;
    let mut out = open(height, label);
    ticks(&mut out, axis, height, unit);
    for (index, shape) in shapes.iter().enumerate() {
        let base = (index + 1) as f64 * TALL - 4.0;
        name(&mut out, &shape.name, base - TALL / 2.0 + 4.0);
        let (left, y) = (LEFT - 10.0, base - TALL / 2.0 + 20.0);
        let _ =
            writeln!(out, "<text class=\"about\" x=\"{left}\" y=\"{y:.1}\">{}</text>", escaped(&shape.about));
        if let (Some(every), Axis::Linear(most)) = (shape.every, axis) {
            let count = ((most / every) as usize).min(MARKS);
            for n in 1..=count {
                let at = x(axis.place(n as f64 * every));
                let _ = writeln!(
                    out,
                    "<line class=\"mark\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{:.1}\" y2=\"{base:.1}\"/>",
                    base - TALL + 10.0
                );
            }
        }
        let bins = binned(&shape.parts, axis);
        let top = bins.iter().copied().fold(0.0, f64::max);
        if top > 0.0 {
            let mut path = format!("M{:.1},{base:.1}", x(0.0));
            for (bin, value) in bins.iter().enumerate() {
                let y = base - value / top * (TALL - 14.0);
                let (from, to) = (x(bin as f64 / BINS as f64), x((bin + 1) as f64 / BINS as f64));
                let _ = write!(path, "L{from:.1},{y:.1}L{to:.1},{y:.1}");
            }
            let _ = writeln!(out, "<path class=\"shape\" d=\"{path}L{:.1},{base:.1}Z\"/>", x(1.0));
        }
        let _ = writeln!(
            out,
            "<line class=\"base\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{base}\" y2=\"{base}\"/>",
            WIDTH - RIGHT
        );
        // Words of lines that lie close stand one below the other.
        let mut free = [f64::MIN; 3];
        for (value, word) in &shape.lines {
            let at = x(axis.place(*value));
            let y = base - TALL + 14.0;
            let step = free.iter().position(|from| at >= *from).unwrap_or(0);
            free[step] = at + WORD;
            let _ = writeln!(
                out,
                "<line class=\"line\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{y:.1}\" y2=\"{base:.1}\"/>"
            );
            let (left, y) = (at.min(WIDTH - WORD) + 3.0, y + 8.0 + 10.0 * step as f64);
            let _ = writeln!(out, "<text class=\"word\" x=\"{left:.1}\" y=\"{y:.1}\">{word}</text>");
        }
    }
    out + "</svg>\n"
}

/// Counts by bin; a part that crosses an edge is divided.
fn binned(parts: &[(f64, f64, f64)], axis: Axis) -> Vec<f64> {
    let mut bins = vec![0.0; BINS];
    for (from, to, count) in parts {
        let (a, b) = (axis.place(*from) * BINS as f64, axis.place(*to) * BINS as f64);
        if a >= BINS as f64 {
            continue;
        }
        let width = (b - a).max(1e-9);
        for (bin, value) in bins.iter_mut().enumerate().take((b.ceil() as usize).min(BINS)).skip(a as usize) {
            let overlap = (b.min(bin as f64 + 1.0) - a.max(bin as f64)).max(0.0);
            *value += if width < 1e-6 { *count } else { count * overlap / width };
        }
    }
    bins
}

/// Bars of parts, one below the other: (name, parts), each part with the class at its place.
pub fn bars(rows: &[(String, Vec<f64>)], classes: &[&str], most: f64, unit: &str, label: &str) -> String {
    let height = rows.len() as f64 * BAR + FOOT;
    let axis = Axis::Linear(most.max(1e-9));
    let mut out = open(height, label);
    ticks(&mut out, axis, height, unit);
    for (index, (text, parts)) in rows.iter().enumerate() {
        let y = index as f64 * BAR + 4.0;
        name(&mut out, text, y + BAR / 2.0 + 2.0);
        let mut sum = 0.0;
        for (part, class) in parts.iter().zip(classes.iter().cycle()) {
            let (from, to) = (x(axis.place(sum)), x(axis.place(sum + part)));
            sum += part;
            let _ = writeln!(
                out,
                "<rect class=\"{class}\" x=\"{from:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{}\"><title>{part:.3}</title></rect>",
                (to - from).max(0.0),
                BAR - 8.0
            );
        }
    }
    out + "</svg>\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_hold_what_was_counted() {
        let axis = Axis::Linear(10.0);
        let bins = binned(&[(0.0, 5.0, 70.0), (9.99, 10.0, 30.0), (11.0, 12.0, 5.0)], axis);
        assert!((bins.iter().sum::<f64>() - 100.0).abs() < 1e-6, "{bins:?}");
        let bins = binned(&[(1.0, 1.0, 4.0)], Axis::Logarithmic(0.1, 100.0));
        assert!((bins.iter().sum::<f64>() - 4.0).abs() < 1e-6);
    }

    #[test]
    fn axes_have_round_ticks() {
        assert_eq!(Axis::Linear(20.0).ticks(), [0.0, 5.0, 10.0, 15.0, 20.0]);
        assert_eq!(Axis::Logarithmic(1.0, 10.0).ticks(), [1.0, 2.0, 5.0, 10.0]);
    }

    /// Reported: the words p50 and p95 of one row lay on each other. Met where most requests take nearly the same time.
    #[test]
    fn words_of_lines_that_lie_close_stand_below_each_other() {
        let lines = vec![(1.0, "p50"), (1.01, "p95"), (1.02, "p99"), (4.0, "max")];
        let shape = Shape {
            name: "one".into(),
            about: String::new(),
            parts: vec![(1.0, 2.0, 1.0)],
            every: None,
            lines,
        };
        let svg = distributions(&[shape], Axis::Linear(4.0), "ms", "label");
        let words: Vec<&str> = svg.lines().filter(|line| line.contains("class=\"word\"")).collect();
        let height = |line: &str| {
            line.split("y=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap().to_owned()
        };
        let heights: Vec<String> = words.iter().map(|line| height(line)).collect();
        assert_eq!(heights, ["18.0", "28.0", "38.0", "18.0"], "{svg}");
    }

    /// Reported: of a long name the end alone was seen. Met with names of variants that say what is compared.
    #[test]
    fn a_long_name_ends_with_dots() {
        let long = "2 x 5, with a switch interval of 0.1 ms & more";
        let svg = bars(
            &[(long.to_owned(), vec![1.0]), ("1 x 1".to_owned(), vec![1.0])],
            &["cpu"],
            1.0,
            "s",
            "label",
        );
        assert!(svg.contains(">2 x 5, with a switch interv…<title>2 x 5, with a switch interval of 0.1 ms &amp; more</title></text>"), "{svg}");
        assert!(svg.contains(">1 x 1</text>"), "{svg}");
    }

    #[test]
    fn names_cannot_break_out() {
        let shape = Shape {
            name: "<b>".into(),
            about: String::new(),
            parts: vec![(1.0, 2.0, 1.0)],
            every: Some(1.0),
            lines: vec![],
        };
        let svg = distributions(&[shape], Axis::Linear(4.0), "ms", "a \"b\"");
        assert!(svg.contains("&lt;b&gt;") && !svg.contains("<b>") && svg.contains("a &quot;b&quot;"));
        assert_eq!(svg.matches("class=\"mark\"").count(), 4);
    }
}
