//! SCRIPT of `serve`: a file or a module, with or without a callable.

/// What SCRIPT names: the target of the alias and the callable, if it names one.
pub fn script(script: &str) -> Result<(String, Option<&str>), String> {
    let (place, callable) = split(script);
    if names_file(place) && !place.ends_with('/') {
        return Ok((place.to_owned(), callable));
    }
    if !place.is_empty() && place.split('.').all(is_name) {
        return Ok((format!("module:{place}"), callable));
    }
    let expected = "a file such as wsgi.py or site.wsgi, or package.module[:callable]";
    match script {
        "" => Err(format!("SCRIPT is missing: {expected}")),
        script => Err(format!("SCRIPT takes {expected}, not `{script}`")),
    }
}

/// Whether SCRIPT names a file.
pub fn is_file(script: &str) -> bool {
    names_file(split(script).0)
}

fn names_file(place: &str) -> bool {
    place.contains('/') || place.ends_with(".py") || place.ends_with(".wsgi")
}

fn split(script: &str) -> (&str, Option<&str>) {
    match script.rsplit_once(':') {
        Some((place, callable)) if is_name(callable) => (place, Some(callable)),
        _ => (script, None),
    }
}

fn is_name(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|c| c.is_alphabetic() || c == '_')
        && chars.all(|c| c.is_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_and_modules() {
        assert_eq!(script("wsgi.py").unwrap(), ("wsgi.py".to_owned(), None));
        assert_eq!(script("a/b:app").unwrap(), ("a/b".to_owned(), Some("app")));
        assert_eq!(script("shop.web:make").unwrap(), ("module:shop.web".to_owned(), Some("make")));
        assert!(script("not a module").unwrap_err().starts_with("SCRIPT takes a file"));
        assert!(script("").unwrap_err().contains("missing"));
        assert!(script("1x").is_err() && script("a..b").is_err() && script("dir/").is_err());
    }
}
