//! Requests in a plan: `[[workload.request]]`. Files that it names are relative to the plan's folder.

use super::toml_error::sentence;
use gk_load::Request;
use gk_load::request::header;
use gk_sys::whole_file;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// One request of a mix.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RequestSpec {
    /// Path and query.
    pub path: String,
    /// Method; default GET, or POST with a body.
    pub method: Option<String>,
    /// Share in the mix.
    pub weight: Option<u32>,
    /// Headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// File with more headers, one a line.
    pub headers_file: Option<String>,
    /// Cookies.
    #[serde(default)]
    pub cookies: BTreeMap<String, String>,
    /// Body.
    pub body: Option<String>,
    /// File with the body.
    pub body_file: Option<String>,
}

/// A file of requests.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    #[serde(rename = "request")]
    requests: Vec<RequestSpec>,
}

impl RequestSpec {
    /// The `[[request]]` tables of a file.
    pub fn read(path: &Path) -> Result<Vec<Self>, String> {
        let shown = path.display();
        let text = whole_file::read_text(path).map_err(|why| format!("{shown} cannot be read: {why}"))?;
        let listed: Listed =
            toml::from_str(&text).map_err(|error| sentence(&error, &text, &shown.to_string()))?;
        Ok(listed.requests)
    }

    /// A plain GET.
    pub fn get(path: &str) -> Self {
        Self { path: path.into(), ..Self::default() }
    }

    /// The request, with the contents of the files.
    pub fn request(&self, folder: &Path) -> Result<Request, String> {
        let read = |name: &String| {
            let path = folder.join(name);
            whole_file::read(&path).map_err(|why| format!("{} cannot be read: {why}", path.display()))
        };
        if self.body.is_some() && self.body_file.is_some() {
            return Err("`body` and `body-file` exclude each other".into());
        }
        let body = match (&self.body, &self.body_file) {
            (Some(text), _) => text.clone().into_bytes(),
            (None, Some(name)) => read(name)?,
            (None, None) => Vec::new(),
        };
        let mut headers: Vec<(String, String)> = Vec::new();
        if let Some(name) = &self.headers_file {
            let text = String::from_utf8_lossy(&read(name)?).into_owned();
            for line in text.lines().filter(|line| !line.trim().is_empty()) {
                headers.push(header(line)?);
            }
        }
        headers.extend(self.headers.clone());
        let usual = if body.is_empty() { "GET" } else { "POST" };
        let request = Request {
            method: self.method.clone().unwrap_or_else(|| usual.into()),
            path: self.path.clone(),
            headers,
            cookies: self.cookies.clone(),
            body,
            weight: self.weight.unwrap_or(1),
        };
        request.check().map(|()| request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_a_request_are_read_and_missing_ones_named() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("h"), "X-A: 1\n\nX-B: 2\n").unwrap();
        std::fs::write(folder.path().join("b"), "{}").unwrap();
        let mut asked = RequestSpec {
            headers_file: Some("h".into()),
            body_file: Some("b".into()),
            ..RequestSpec::get("/p")
        };
        let request = asked.request(folder.path()).unwrap();
        assert_eq!(
            (request.method.as_str(), request.body.as_slice(), request.headers.len()),
            ("POST", &b"{}"[..], 2)
        );
        asked.body = Some("x".into());
        assert!(asked.request(folder.path()).unwrap_err().contains("exclude each other"));
        asked = RequestSpec { body_file: Some("none".into()), ..RequestSpec::get("/p") };
        assert!(asked.request(folder.path()).unwrap_err().contains("none cannot be read"));
    }
}
