//! What the requests of one connection share, kept as an environ template. A bounded table by the connection's number: a
//! client that keeps its connection finds its own template again; many clients drive each other out and lose little.

use gk_python::{Attached, Kept, Object};
use gk_wire::request::{Numbers, RequestView};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Places of the table. A template takes about 3 KB.
const PLACES: usize = 64;

/// The templates of one target.
#[derive(Default)]
pub(crate) struct Connections {
    places: Mutex<Vec<Place>>,
}

#[derive(Default)]
struct Place {
    /// Number of the connection that came here last.
    last: u64,
    kept: Option<Template>,
}

struct Template {
    numbers: Numbers,
    alike: Box<[u8]>,
    environ: Kept,
}

/// What is known of a request's connection.
pub(crate) enum Found<'p> {
    /// This holds all that [`RequestView::alike`] and the connection's numbers say; copy it.
    Template(Object<'p>),
    /// It came before, so a template will be of use.
    Again,
    /// It is new here.
    New,
}

impl Connections {
    fn places(&self) -> MutexGuard<'_, Vec<Place>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks for the request's connection.
    pub(crate) fn find<'p>(&self, py: Attached<'p>, request: &RequestView<'_>) -> Found<'p> {
        let mut places = self.places();
        if places.is_empty() {
            places.resize_with(PLACES, Place::default);
        }
        let place = &mut places[place_of(&request.numbers)];
        let again = place.last == request.numbers.connection_id;
        place.last = request.numbers.connection_id;
        match &place.kept {
            Some(template) if template.serves(request) => Found::Template(template.environ.bind(py)),
            _ if again => Found::Again,
            _ => Found::New,
        }
    }

    /// Keeps a template for the request's connection.
    pub(crate) fn keep(&self, py: Attached<'_>, request: &RequestView<'_>, environ: Object<'_>) {
        let template =
            Template { numbers: request.numbers, alike: request.alike.into(), environ: environ.keep() };
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
