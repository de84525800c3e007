//! The known name closest to a misspelt one.

use strsim::osa_distance;

/// The candidate with the smallest edit distance (ignoring case), if it is close enough to be meant.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_ascii_lowercase();
    let length = name.chars().count();
    let limit = (length / 3).clamp(1, 4);
    candidates
        .into_iter()
        // The distance is at least the difference of the lengths.
        .filter(|c| c.chars().count().abs_diff(length) <= limit)
        .map(|c| (osa_distance(&name, &c.to_ascii_lowercase()), c))
        .filter(|(d, _)| *d <= limit)
        .min_by_key(|(d, _)| *d)
        .map(|(_, c)| c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_names_are_found_and_far_ones_are_not() {
        let names = ["WSGIDaemonProcess", "WSGIProcessGroup", "Listen"];
        assert_eq!(nearest("WSGIDeamonProces", names), Some("WSGIDaemonProcess"));
        assert_eq!(nearest("lisetn", names), Some("Listen"));
        assert_eq!(nearest("RewriteRule", names), None);
    }
}
