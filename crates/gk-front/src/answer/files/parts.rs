//! The parts of a file that are sent: all of it, one, or several in a body of `multipart/byteranges`.

use bytes::Bytes;
use http::HeaderValue;
use std::os::fd::OwnedFd;

use crate::answer::body::{Body, Segment};
use crate::answer::files::found::FoundFile;

/// The body of a part of a file, first and last byte.
pub fn one<X>(found: FoundFile, part: (u64, u64)) -> Body<X> {
    let (at, len) = (part.0, part.1 - part.0 + 1);
    match &found.content {
        Some(content) => Body::whole(content.slice(at as usize..(at + len) as usize), true),
        None => Body::known_file(OwnedFd::from(found.file), vec![Segment::File { at, len }]),
    }
}

/// The body of several parts, its media type and its length. `media_type`: of the file.
pub fn several<X>(
    found: FoundFile,
    parts: &[(u64, u64)],
    media_type: Option<&HeaderValue>,
) -> (Body<X>, String, u64) {
    let boundary = boundary();
    let mut segments = Vec::with_capacity(2 * parts.len() + 1);
    let mut length = 0;
    for (first, last) in parts {
        let media_type = media_type.and_then(|value| value.to_str().ok());
        let media_type = media_type.map(|value| format!("Content-Type: {value}\r\n")).unwrap_or_default();
        let head = format!(
            "\r\n--{boundary}\r\n{media_type}Content-Range: bytes {first}-{last}/{}\r\n\r\n",
            found.size()
        );
        let len = last - first + 1;
        length += head.len() as u64 + len;
        segments.push(Segment::Bytes(head.into()));
        segments.push(match &found.content {
            Some(content) => Segment::Bytes(content.slice(*first as usize..=*last as usize)),
            None => Segment::File { at: *first, len },
        });
    }
    let end = format!("\r\n--{boundary}--\r\n");
    length += end.len() as u64;
    segments.push(Segment::Bytes(Bytes::from(end)));
    let body = Body::known_file(OwnedFd::from(found.file), segments);
    (body, format!("multipart/byteranges; boundary={boundary}"), length)
}

/// A line that stands in no file by chance.
fn boundary() -> String {
    let mut bytes = [0; 12];
    // Without a source of chance it is a fixed one: then a file may hold it, and the part's length tells.
    let _ = getrandom::fill(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
