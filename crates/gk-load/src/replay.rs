//! An access log as a schedule: method, path and time of each line in the common or combined format. Pure.

use crate::request::Request;

/// A log as requests and their times.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Replay {
    /// The requests, each once.
    pub requests: Vec<Request>,
    /// Nanoseconds from the first line, and the index into `requests`.
    pub schedule: Vec<(u64, u16)>,
    /// Number of lines that are no request.
    pub skipped: usize,
}

/// Reads a log. It has a resolution of one second, so the requests of a second are spread evenly over it. `speed`: factor to the
/// log's own speed. A log has no bodies: POST and the like are sent without one.
pub fn read(text: &str, speed: f64) -> Result<Replay, String> {
    let mut found: Vec<(i64, &str, &str)> = Vec::new();
    let mut replay = Replay::default();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        match entry(line) {
            Some(entry) => found.push(entry),
            None => replay.skipped += 1,
        }
    }
    // Lines are written when a request ends, with the time of its begin.
    found.sort_by_key(|(second, ..)| *second);
    let Some(first) = found.first().map(|(second, ..)| *second) else {
        return Err("it holds no line in the common or combined format".into());
    };
    let mut known: std::collections::HashMap<(&str, &str), u16> = std::collections::HashMap::new();
    for same in found.chunk_by(|a, b| a.0 == b.0) {
        for (index, (second, method, path)) in same.iter().enumerate() {
            let at = (second - first) as f64 + index as f64 / same.len() as f64;
            let number = match known.get(&(*method, *path)) {
                Some(number) => *number,
                None => {
                    let number = u16::try_from(replay.requests.len())
                        .map_err(|_| "it has more than 65,535 different requests")?;
                    replay.requests.push(Request { method: (*method).into(), ..Request::get(path) });
                    known.insert((method, path), number);
                    number
                }
            };
            replay.schedule.push(((at / speed * 1e9) as u64, number));
        }
    }
    Ok(replay)
}

/// Second, method and path of `host ident user [day/Mon/year:h:m:s zone] "GET /path HTTP/1.1" …`.
fn entry(line: &str) -> Option<(i64, &str, &str)> {
    let (_, rest) = line.split_once('[')?;
    let (time, rest) = rest.split_once(']')?;
    let (_, rest) = rest.split_once('"')?;
    let (request, _) = rest.split_once('"')?;
    let mut words = request.split(' ');
    let (method, path) = (words.next()?, words.next()?);
    if !words.next()?.starts_with("HTTP/") {
        return None;
    }
    let valid = Request { method: method.into(), ..Request::get(path) }.check().is_ok();
    valid.then_some((seconds(time)?, method, path))
}

/// `21/Nov/2026:10:00:01 +0100` as seconds of some epoch.
fn seconds(time: &str) -> Option<i64> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (clock, zone) = time.split_once(' ').unwrap_or((time, "+0000"));
    let mut parts = clock.splitn(4, [':', '/']);
    let (day, month) = (parts.next()?.parse::<i64>().ok()?, parts.next()?);
    let month = MONTHS.iter().position(|name| *name == month)? as i64 + 1;
    let year = parts.next()?.parse::<i64>().ok()?;
    let mut hms = parts.next()?.split(':').map(|part| part.parse::<i64>().ok());
    let (h, m, s) = (hms.next()??, hms.next()??, hms.next()??);
    let offset = zone.parse::<i64>().ok()?;
    // A second may be a leap second.
    let bounds = [(year, 0, 9999), (day, 1, 31), (h, 0, 23), (m, 0, 59), (s, 0, 60), (offset, -2400, 2400)];
    if bounds.iter().any(|(value, least, most)| value < least || value > most) {
        return None;
    }
    let offset = offset / 100 * 3600 + offset % 100 * 60;
    // Days of the civil calendar, March first.
    let (y, mo) = if month <= 2 { (year - 1, month + 12) } else { (year, month) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * (mo - 3) + 2) / 5 + day;
    Some(days * 86_400 + h * 3600 + m * 60 + s - offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = r#"1.2.3.4 - - [31/Dec/2025:23:59:59 +0000] "GET /a?x=1 HTTP/1.1" 200 5 "-" "curl"
1.2.3.4 - bob [01/Jan/2026:01:00:01 +0100] "POST /b HTTP/1.1" 200 5
junk
1.2.3.4 - - [01/Jan/2026:00:00:01 +0000] "GET /a?x=1 HTTP/1.1" 200 5 "-" "curl"
1.2.3.4 - - [01/Jan/2026:00:00:01 +0000] "-" 408 0
"#;

    #[test]
    fn lines_without_a_valid_time_are_skipped() {
        let line = |time: &str| format!("h - - [{time}] \"GET / HTTP/1.1\" 200 1\n");
        for time in [
            "01/Jan/9223372036854775807:00:00:00 +0000",
            "01/Jan/2026:9223372036854775807:00:00 +0000",
            "01/Jan/2026:00:00:00 +9223372036854775807",
            "0/Jan/2026:00:00:00 +0000",
            "01/Jan/2026:00:60:00 +0000",
            "01/Jan/-5:00:00:00 +0000",
        ] {
            assert!(read(&line(time), 1.0).is_err(), "{time}");
        }
        assert!(read(&line("30/Jun/2026:23:59:60 -1200"), 1.0).is_ok());
    }

    #[test]
    fn lines_become_a_schedule() {
        let replay = read(LOG, 1.0).unwrap();
        assert_eq!(replay.skipped, 2);
        assert_eq!(replay.requests.len(), 2);
        assert_eq!((replay.requests[1].method.as_str(), replay.requests[1].path.as_str()), ("POST", "/b"));
        assert_eq!(replay.schedule, [(0, 0), (2_000_000_000, 1), (2_500_000_000, 0)]);
        assert_eq!(read(LOG, 10.0).unwrap().schedule[1].0, 200_000_000);
        assert!(read("x\n", 1.0).is_err());
    }
}
