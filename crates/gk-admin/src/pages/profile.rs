//! `/api/v1/profile`: profiles the request threads for some seconds and answers with what they did. `/api/v1/profile/last` gives the last
//! one again, in another form.

use crate::kept::hub::SharedHub;
use crate::kept::profiles::{Profiled, Running};
use crate::pages::query::QueryString;
use crate::told::profile::Form;
use http::{HeaderMap, StatusCode};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Pause between two looks, and the longest wait for samples that have no names yet: a request may hold the GIL.
const PAUSE: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(2);

/// The last profile.
#[derive(Default)]
pub(crate) struct LastProfile(Mutex<Option<Arc<Profiled>>>);

/// Media type and content; or a status and a sentence.
pub(crate) type Answer = Result<(&'static str, Vec<u8>), (StatusCode, String)>;

impl LastProfile {
    fn set(&self, profiled: &Arc<Profiled>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(profiled));
    }

    /// The last one, in the form that is asked for.
    pub(crate) fn answer(&self, query: &QueryString<'_>) -> Answer {
        let asked = query.profile().map_err(|why| (StatusCode::BAD_REQUEST, why))?;
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let last = last.ok_or_else(|| (StatusCode::NOT_FOUND, "no profile was made yet".to_owned()))?;
        Ok(of(asked.form, &last))
    }
}

fn of(form: Form, profiled: &Profiled) -> (&'static str, Vec<u8>) {
    (form.kind(), form.of(profiled))
}

/// Makes one.
pub(crate) async fn profile(
    hub: &SharedHub,
    last: &LastProfile,
    headers: &HeaderMap,
    query: &QueryString<'_>,
) -> Answer {
    // It costs something, so a picture on a page of another site must not begin it.
    let site = headers.get("sec-fetch-site").and_then(|site| site.to_str().ok());
    if site.is_some_and(|site| !matches!(site, "same-origin" | "none")) {
        return Err((StatusCode::FORBIDDEN, "the request comes from a page of another site".to_owned()));
    }
    let asked = query.profile().map_err(|why| (StatusCode::BAD_REQUEST, why))?;
    let running = {
        let mut hub = hub.lock();
        if hub.intake().is_some() {
            return Err((StatusCode::NOT_FOUND, "there are no profiles of other servers".to_owned()));
        }
        Running::begin(&mut hub, asked.process_group, asked.seconds)
            .map_err(|why| (StatusCode::NOT_FOUND, why))?
    };
    while !running.ask(&mut hub.lock()) {
        tokio::time::sleep(PAUSE).await;
    }
    let end = tokio::time::Instant::now() + PATIENCE;
    while running.is_under_way(&hub.lock()) && tokio::time::Instant::now() < end {
        tokio::time::sleep(PAUSE).await;
    }
    let profiled = Arc::new(running.end(&hub.lock(), asked.route.as_deref()));
    last.set(&profiled);
    Ok(of(asked.form, &profiled))
}
