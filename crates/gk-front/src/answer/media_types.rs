//! Media types of files by extension.

use gk_rules::content::Content;
use gk_rules::content::types::Described;
use std::path::Path;

/// What a file's name says of it: by the rules of the place, else by the built-in types. Bytes for an unknown one.
pub fn describe(path: &Path, rules: &Content) -> Described {
    let types = &rules.files.types;
    let mut found = if types.is_empty() {
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("").to_ascii_lowercase();
        Described { media_type: standard(&extension).map(str::to_owned), ..Described::default() }
    } else {
        let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
        types.describe(&name, standard)
    };
    // `AddDefaultCharset` decides about the charset of what names none: the built-in one is not named.
    if rules.charset.is_some()
        && let Some(media_type) = &mut found.media_type
        && let Some(bare) = media_type.strip_suffix(BUILT_IN_CHARSET)
    {
        *media_type = bare.to_owned();
    }
    found.media_type.get_or_insert_with(|| "application/octet-stream".to_owned());
    found
}

/// The charset of the built-in types of text.
const BUILT_IN_CHARSET: &str = "; charset=utf-8";

/// The built-in type of an extension.
fn standard(extension: &str) -> Option<&'static str> {
    Some(match extension {
        "html" | "htm" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "txt" | "log" => "text/plain; charset=utf-8",
        "md" => "text/markdown; charset=utf-8",
        "csv" => "text/csv; charset=utf-8",
        "json" | "map" => "application/json",
        "xml" => "application/xml",
        "webmanifest" => "application/manifest+json",
        "wasm" => "application/wasm",
        "pdf" => "application/pdf",
        "zip" => "application/zip",
        "gz" => "application/gzip",
        "tar" => "application/x-tar",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "svg" => "image/svg+xml",
        "webp" => "image/webp",
        "avif" => "image/avif",
        "ico" => "image/vnd.microsoft.icon",
        "woff" => "font/woff",
        "woff2" => "font/woff2",
        "ttf" => "font/ttf",
        "otf" => "font/otf",
        "mp3" => "audio/mpeg",
        "mp4" => "video/mp4",
        "webm" => "video/webm",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_built_in_or_said() {
        let told =
            |name: &str, rules: &Content| describe(Path::new(name), rules).media_type.unwrap_or_default();
        let mut rules = Content::default();
        assert_eq!(told("/a/b.HTML", &rules), "text/html; charset=utf-8");
        assert_eq!(told("/a/html", &rules), "application/octet-stream");
        rules.charset = Some(String::new());
        assert_eq!(told("/a/b.html", &rules), "text/html");
        rules.files.types.types.insert("bin".into(), "application/x-bin".into());
        assert_eq!(told("/a/b.html.bin", &rules), "application/x-bin");
        assert_eq!(told("/a/b.html.x", &rules), "application/octet-stream");
    }
}
