//! A flame graph as SVG: the roots are at the top, each call stands below the one it was made from, as wide as its CPU time.

use super::words;
use crate::kept::profiles::Profiled;
use std::fmt::Write as _;

/// Pixels.
const WIDTH: f64 = 1200.0;
const ROW: f64 = 18.0;
const TOP: f64 = 30.0;
/// Narrower calls are left out.
const NARROWEST: f64 = 0.3;
/// Pixels of a letter.
const LETTER: f64 = 6.7;
/// Fills by depth, light enough for dark letters.
const FILLS: [&str; 5] = ["#f2b8a0", "#f4c987", "#f1df8a", "#c7dc9a", "#a8d3c4"];

pub(super) fn picture(profiled: &Profiled) -> String {
    let profile = &profiled.profile;
    let sums = profile.inclusive();
    let all = profile.ns().max(1) as f64;
    let mut below: Vec<Vec<usize>> = vec![Vec::new(); profile.calls.len()];
    let mut row: Vec<usize> = Vec::new();
    for (index, call) in profile.calls.iter().enumerate().filter(|(index, _)| sums[*index] > 0) {
        match call.from {
            Some(from) => below[from].push(index),
            None => row.push(index),
        }
    }
    let mut body = String::new();
    let (mut depth, mut at) = (0, 0.0);
    let mut here: Vec<(usize, f64)> = Vec::new();
    place(&mut row, &sums, all, &mut at, &mut here);
    while !here.is_empty() {
        let mut next = Vec::new();
        for (call, left) in &here {
            let width = sums[*call] as f64 / all * WIDTH;
            draw(
                &mut body,
                &words(profile, *call),
                sums[*call],
                sums[*call] as f64 / all,
                (*left, width, depth),
            );
            let mut from = *left;
            place(&mut below[*call], &sums, all, &mut from, &mut next);
        }
        here = next;
        depth += 1;
    }
    let height = TOP + ROW * depth as f64 + 4.0;
    let title = format!(
        "{:.2} s of CPU time of request threads in {} s, {} samples",
        profile.ns() as f64 / 1e9,
        profiled.seconds,
        profile.samples()
    );
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         font-family=\"monospace\" font-size=\"11\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"4\" y=\"19\" font-size=\"13\">{title}</text>\n{body}</svg>\n"
    )
}

/// Puts calls beside each other, the widest first, from `at` on.
fn place(calls: &mut [usize], sums: &[u64], all: f64, at: &mut f64, here: &mut Vec<(usize, f64)>) {
    calls.sort_by_key(|call| std::cmp::Reverse(sums[*call]));
    for call in calls.iter() {
        let width = sums[*call] as f64 / all * WIDTH;
        if width >= NARROWEST {
            here.push((*call, *at));
        }
        *at += width;
    }
}

fn draw(out: &mut String, name: &str, ns: u64, share: f64, (left, width, depth): (f64, f64, usize)) {
    let (top, name) = (TOP + ROW * depth as f64, escaped(name));
    let fill = FILLS[depth % FILLS.len()];
    let _ = write!(
        out,
        "<g><title>{name}: {:.3} s, {:.1} %</title><rect x=\"{left:.2}\" y=\"{top}\" width=\"{width:.2}\" height=\"{}\" \
         fill=\"{fill}\"/>",
        ns as f64 / 1e9,
        share * 100.0,
        ROW - 1.0
    );
    let letters = ((width - 4.0) / LETTER) as usize;
    if letters >= 3 {
        let cut = shortened(&name, letters);
        let _ = write!(out, "<text x=\"{:.2}\" y=\"{}\">{cut}</text>", left + 2.0, top + 13.0);
    }
    out.push_str("</g>\n");
}

/// The first letters of a text that is escaped; an entity counts as one.
fn shortened(escaped: &str, letters: usize) -> String {
    let mut out = String::new();
    let mut rest = escaped;
    for _ in 0..letters {
        let Some(first) = rest.chars().next() else { return out };
        let length = if first == '&' { rest.find(';').map_or(1, |end| end + 1) } else { first.len_utf8() };
        let (piece, after) = rest.split_at(length);
        out.push_str(piece);
        rest = after;
    }
    out
}

/// Text for XML, without letters that it does not allow.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            _ if letter.is_control() || matches!(letter, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            _ => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::tests::example;
    use super::*;

    #[test]
    fn widths_are_shares_and_names_are_text() {
        let svg = picture(&example());
        assert!(svg.contains("<title>/report;x: 0.120 s, 100.0 %</title>"), "{svg}");
        assert!(svg.contains("<title>&lt;lambda&gt; (/srv/app.py:7): 0.060 s, 50.0 %</title>"), "{svg}");
        assert!(svg.contains("x=\"0.00\" y=\"66\" width=\"600.00\""), "{svg}");
        assert!(!svg.contains("<lambda>"));
        assert_eq!(picture(&Profiled::default()).matches("<title>").count(), 0);
        assert_eq!((shortened("&lt;ab", 2), escaped("a\u{1b}<")), ("&lt;a".into(), "a\u{fffd}&lt;".into()));
    }
}
