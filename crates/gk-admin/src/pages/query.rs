//! The query string of a request, and the history query or the filter of requests in it. An error is one sentence.

use crate::kept::history::HistoryQuery;
use crate::pages::api::RequestFilter;
use crate::told::profile::Form;

/// Most rows of an answer.
const ROWS: f64 = 1_200.0;
/// Farthest look back, in seconds.
const FARTHEST: f64 = 31.0 * 86_400.0;

/// Longest profile, in seconds.
const LONGEST_PROFILE: f64 = 300.0;

/// What is asked of a profile.
pub struct ProfileQuery {
    /// Its length.
    pub seconds: f64,
    /// Its form.
    pub form: Form,
    /// Only this process group.
    pub process_group: Option<String>,
    /// Only this route.
    pub route: Option<String>,
}

/// A query string.
pub struct QueryString<'q>(&'q str);

impl<'q> QueryString<'q> {
    /// From the query of a URI.
    pub fn new(query: Option<&'q str>) -> Self {
        Self(query.unwrap_or(""))
    }

    /// The decoded value of a name; the last one if there are several.
    pub fn text(&self, name: &str) -> Option<String> {
        let pairs = self.0.split('&').filter_map(|pair| pair.split_once('='));
        pairs.filter(|(key, _)| *key == name).map(|(_, value)| decoded(value)).next_back()
    }

    fn number(&self, name: &str) -> Result<Option<f64>, String> {
        let Some(text) = self.text(name).filter(|text| !text.is_empty()) else { return Ok(None) };
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Some(number)),
            _ => Err(format!("{name} must be a number of seconds, not `{text}`")),
        }
    }

    /// The requests that are wanted.
    pub fn requests(&self) -> Result<RequestFilter, String> {
        let given = |name: &str| self.text(name).filter(|text| !text.is_empty());
        let class = |text: String| text.strip_suffix("xx").map(str::to_owned).unwrap_or(text);
        let status = match given("status").map(class) {
            None => None,
            Some(text) => match text.parse::<u16>() {
                Ok(number) => Some(number),
                Err(_) => {
                    return Err(format!(
                        "status must be a status like 404 or a class like 5xx, not `{text}`"
                    ));
                }
            },
        };
        let ended = match (self.number("from")?, self.number("to")?) {
            (None, None) => None,
            (from, to) => Some((from.unwrap_or(0.0), to.unwrap_or(f64::MAX))),
        };
        let (group, path, route) = (given("process_group"), given("path"), given("route"));
        Ok(RequestFilter { group, path, route, status, id: given("id"), ended })
    }

    /// What is asked of a profile: its seconds, its form, the process group and the route.
    pub fn profile(&self) -> Result<ProfileQuery, String> {
        let given = |name: &str| self.text(name).filter(|text| !text.is_empty());
        let seconds = self.number("seconds")?.unwrap_or(10.0);
        if !(1.0..=LONGEST_PROFILE).contains(&seconds) {
            return Err(format!("seconds must be from 1 to {LONGEST_PROFILE}, not {seconds}"));
        }
        let form = given("format").map_or(Ok(Form::Json), |name| Form::named(&name))?;
        Ok(ProfileQuery { seconds, form, process_group: given("process_group"), route: given("route") })
    }

    /// The history query: `from` and `to` in epoch seconds, or relative to the present when negative; `step` in seconds.
    pub fn history(&self, now: f64) -> Result<HistoryQuery, String> {
        let absolute = |value: f64| if value <= 0.0 { now + value } else { value };
        let to = self.number("to")?.map_or(now, absolute).min(now + 1.0);
        let from = self.number("from")?.map_or(to - 300.0, absolute).max(now - FARTHEST);
        if from >= to {
            return Err("from must be before to".into());
        }
        let step = self.number("step")?.unwrap_or(1.0).max(((to - from) / ROWS).ceil()).max(1.0);
        let group = self.text("process_group");
        Ok(HistoryQuery { from, to, step, group, now })
    }
}

fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut index = 0;
    while let Some(byte) = bytes.get(index) {
        let pair = bytes.get(index + 1..index + 3).and_then(|pair| std::str::from_utf8(pair).ok());
        match (byte, pair.and_then(|pair| u8::from_str_radix(pair, 16).ok())) {
            (b'%', Some(code)) => {
                out.push(code);
                index += 2;
            }
            (b'+', _) => out.push(b' '),
            _ => out.push(*byte),
        }
        index += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_bounded() {
        let ask = |query| QueryString::new(Some(query)).history(1_000_000.0);
        let plain = ask("").unwrap();
        assert_eq!((plain.from, plain.to, plain.step), (999_700.0, 1_000_000.0, 1.0));
        let hour = ask("from=-3600&step=2&process_group=a%20b%2").unwrap();
        assert_eq!((hour.from, hour.step, hour.group.as_deref()), (996_400.0, 3.0, Some("a b%2")));
        assert_eq!(ask("from=abc").unwrap_err(), "from must be a number of seconds, not `abc`");
        assert!(ask("from=10&to=5").is_err());
        assert!(ask("from=NaN").is_err());
    }

    #[test]
    fn profiles_are_bounded() {
        let ask = |query| QueryString::new(Some(query)).profile().map(|asked| (asked.seconds, asked.form));
        assert_eq!(ask(""), Ok((10.0, Form::Json)));
        assert_eq!(ask("seconds=2.5&format=pprof"), Ok((2.5, Form::Pprof)));
        for (query, why) in [
            ("seconds=0", "seconds must be from 1 to 300, not 0"),
            ("seconds=301", "seconds must be from 1 to 300, not 301"),
            ("seconds=x", "seconds must be a number of seconds, not `x`"),
            ("format=gif", "format must be one of json, speedscope, pprof, folded, svg, not `gif`"),
        ] {
            assert_eq!(ask(query).unwrap_err(), why);
        }
    }
}
