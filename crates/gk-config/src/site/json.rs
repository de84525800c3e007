//! A site in JSON, as the supervisor hands it to the front, and measurements, as the front hands them to the admin process.
//!
//! The functions are of this crate, so that what serde makes of a site is compiled once, and not for the speed of requests.

use super::Site;
use super::measurements::Measurements;
use serde_json::{Error, Value};

impl Site {
    /// Reads a site that was written by [`Site::to_json`].
    #[inline(never)]
    pub fn from_json(value: Value) -> Result<Self, Error> {
        serde_json::from_value(value)
    }

    /// For another process of the same version.
    #[inline(never)]
    pub fn to_json(&self) -> Value {
        serde_json::to_value(self).expect("a site holds only strings, numbers, lists and maps")
    }
}

impl Measurements {
    /// Reads what [`Measurements::to_json`] wrote.
    #[inline(never)]
    pub fn from_json(value: Value) -> Result<Self, Error> {
        serde_json::from_value(value)
    }

    /// For another process of the same version.
    #[inline(never)]
    pub fn to_json(&self) -> Result<Value, Error> {
        serde_json::to_value(self)
    }
}
