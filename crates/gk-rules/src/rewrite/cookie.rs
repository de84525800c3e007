//! The flag `CO`: `name:value:domain[:minutes[:path[:secure[:httponly[:samesite]]]]]`, or the same with `;` behind a first `;`.

use crate::server_variables::date;

const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The value of `Set-Cookie`; `None` where name, value or domain is missing.
pub(super) fn cookie(text: &str, now: f64) -> Option<String> {
    let (separator, text) = match text.strip_prefix(';') {
        Some(rest) => (';', rest),
        None => (':', text),
    };
    if text.contains(|c: char| c.is_ascii_control()) {
        return None;
    }
    let mut parts = text.split(separator).filter(|part| !part.is_empty());
    let (name, value, domain) = (parts.next()?, parts.next()?, parts.next()?);
    let (minutes, path, secure, http_only, same_site) =
        (parts.next(), parts.next(), parts.next(), parts.next(), parts.next());
    let mut cookie = format!("{name}={value}; path={}; domain={domain}", path.unwrap_or("/"));
    let minutes = minutes.map_or(0, |minutes| crate::expr::number(minutes.as_bytes()));
    if minutes != 0 {
        cookie.push_str(&format!("; expires={}", moment(now + minutes as f64 * 60.0)));
    }
    let is = |part: Option<&str>, word: &str| {
        part.is_some_and(|part| {
            part == "1" || part.eq_ignore_ascii_case("true") || part.eq_ignore_ascii_case(word)
        })
    };
    if is(secure, "secure") {
        cookie.push_str("; secure");
    }
    if is(http_only, "httponly") {
        cookie.push_str("; HttpOnly");
    }
    if let Some(same_site) = same_site.filter(|part| *part != "0" && !part.eq_ignore_ascii_case("false")) {
        cookie.push_str(&format!("; SameSite={same_site}"));
    }
    Some(cookie)
}

fn moment(at: f64) -> String {
    let seconds = at.max(0.0) as u64;
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = date(days);
    let weekday = WEEKDAYS[(days % 7) as usize];
    let month = MONTHS[(month as usize).saturating_sub(1) % 12];
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{weekday}, {day:02}-{month}-{year:04} {hour:02}:{minute:02}:{second:02} GMT")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies() {
        let table: &[(&str, Option<&str>)] = &[
            ("a:1:.example.org", Some("a=1; path=/; domain=.example.org")),
            ("a:1", None),
            (";a;x:1;.example.org", Some("a=x:1; path=/; domain=.example.org")),
            (
                "a:1:.example.org:2:/x:1:true:Lax",
                Some(
                    "a=1; path=/x; domain=.example.org; expires=Thu, 01-Jan-1970 00:02:00 GMT; secure; HttpOnly; SameSite=Lax",
                ),
            ),
            ("a:1:.example.org:0:/:no:no:0", Some("a=1; path=/; domain=.example.org")),
            ("a:1\r\nX: 2:.example.org", None),
        ];
        for (text, wanted) in table {
            assert_eq!(cookie(text, 0.0).as_deref(), *wanted, "{text}");
        }
    }
}
