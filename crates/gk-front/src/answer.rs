//! Responses: made of a worker's head and body, of a file, or a page of the front's own.

pub mod body;
pub mod compressed;
pub mod decoration;
pub mod file_reader;
pub mod files;
pub mod media_types;
pub mod reply;
pub mod response;
pub mod withheld;
