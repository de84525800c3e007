//! The setup that the supervisor hands over in a memory file, and certificates that come later.

use gk_config::site::Site;
use gk_messages::decode;
use gk_sys::descriptors;
use gk_wire::certificates::Certificates;
use gk_wire::setup::FrontSetup;
use std::fs::File;
use std::os::fd::OwnedFd;

/// Reads a setup file.
pub fn read(fd: OwnedFd) -> Result<FrontSetup, String> {
    let json = descriptors::read_memory_file(&mut File::from(fd))
        .map_err(|error| format!("the setup cannot be read: {error}"))?;
    decode(&json).map_err(|error| format!("the setup is not understood: {error}"))
}

/// Reads a file of certificates.
pub fn certificates(fd: OwnedFd) -> Result<Certificates, String> {
    let json = descriptors::read_memory_file(&mut File::from(fd))
        .map_err(|error| format!("the certificates cannot be read: {error}"))?;
    decode(&json).map_err(|error| format!("the certificates are not understood: {error}"))
}

/// The site in a setup.
pub fn site(value: serde_json::Value) -> Result<Site, String> {
    Site::from_json(value).map_err(|error| format!("the site in the setup is not understood: {error}"))
}
