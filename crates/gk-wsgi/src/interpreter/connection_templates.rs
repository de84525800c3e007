//! Environ templates with the entries that requests of one connection share. A bounded table by connection number: a client
//! that keeps its connection finds its template again; many clients replace each other's and lose little.

use gk_python::{Attached, Kept, Object};
use gk_wire::request::{Numbers, RequestView};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Size of the table. A template takes about 3 KB.
const PLACES: usize = 64;

/// Templates of one target.
#[derive(Default)]
pub(crate) struct ConnectionTemplates {
    places: Mutex<Vec<Entry>>,
}

#[derive(Default)]
struct Entry {
    /// Number of the last connection with this entry.
    last: u64,
    kept: Option<Template>,
}

struct Template {
    numbers: Numbers,
    alike: Box<[u8]>,
    /// [`RequestView::place`] of the request that it was made for.
    place: Box<[u8]>,
    environ: Kept,
}

/// Result of looking up a request's connection.
pub(crate) enum Lookup<'p> {
    /// A template with all entries that come from [`RequestView::alike`] and the connection's numbers, to be copied; and whether those
    /// that come from [`RequestView::place`] are this request's, too.
    Template(Object<'p>, bool),
    /// Second request of the connection: a template will be useful.
    Again,
    /// First request of the connection.
    New,
}

impl ConnectionTemplates {
    fn places(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks up the request's connection.
    pub(crate) fn find<'p>(&self, py: Attached<'p>, request: &RequestView<'_>) -> Lookup<'p> {
        let mut places = self.places();
        if places.is_empty() {
            places.resize_with(PLACES, Entry::default);
        }
        let place = &mut places[place_of(&request.numbers)];
        let again = place.last == request.numbers.connection_id;
        place.last = request.numbers.connection_id;
        match &place.kept {
            Some(template) if template.serves(request) => {
                Lookup::Template(template.environ.bind(py), *template.place == *request.place)
            }
            _ if again => Lookup::Again,
            _ => Lookup::New,
        }
    }

    /// Keeps a template for the request's connection.
    pub(crate) fn keep(&self, py: Attached<'_>, request: &RequestView<'_>, environ: Object<'_>) {
        let template = Template {
            numbers: request.numbers,
            alike: request.alike.into(),
            place: request.place.into(),
            environ: environ.keep(),
        };
        let old = self.places()[place_of(&request.numbers)].kept.replace(template);
        if let Some(old) = old {
            old.environ.release(py);
        }
    }
}

impl Template {
    fn serves(&self, request: &RequestView<'_>) -> bool {
        let of = |n: &Numbers| (n.connection_id, n.remote_port, n.server_port, n.version, n.https);
        of(&self.numbers) == of(&request.numbers) && *self.alike == *request.alike
    }
}

fn place_of(numbers: &Numbers) -> usize {
    (numbers.connection_id % PLACES as u64) as usize
}
