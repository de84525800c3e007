//! The certificates of hosts that speak TLS.

use super::{Families, Form};
use crate::kept::hub::Hub;

/// Adds their family, where there are any.
pub fn add(page: &mut Families, hub: &Hub) {
    if hub.certificates().is_empty() {
        return;
    }
    page.family(
        "gilkeeper_certificate_expiry_seconds",
        Form::Gauge,
        "Seconds until a certificate expires, negative once it has.",
    );
    let now = gk_sys::clock::epoch_seconds();
    for one in hub.certificates() {
        page.line(&[("file", &one.file), ("host", &one.host)], (one.not_after as f64 - now).floor());
    }
}
