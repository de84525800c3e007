//! The routes whose requests workers died of. A worker serves several requests when it dies, so each of their routes becomes a
//! suspect; from then on its answers are counted, too. A route is *deadly* once workers have died of it again and again and it was
//! answered less often than that. What the front calls a route is the method and the start of the path, with `*` for parts that
//! look like identifiers.
//!
//! Bounded, as clients choose the paths: at most [`MOST`] routes of at most [`SEGMENTS`] short parts. While nobody has died lately
//! the list is empty, and a request costs one comparison.

use gk_wire::queue::DeadlyRoute;
use http::Method;
use std::cell::{Cell, RefCell};
use std::fmt::Write as _;

/// Most routes in the list.
const MOST: usize = 64;
/// Parts of a path that belong to its route.
const SEGMENTS: usize = 4;
/// Longest part, in bytes.
const SEGMENT: usize = 40;
/// Deaths after which a route is deadly.
const DEADLY: u32 = 3;
/// Milliseconds after its last death at which a route is forgotten.
const FORGET: u64 = 600_000;
/// Milliseconds within which several deaths count as one: whoever ends all workers at once says nothing about their requests.
const AT_ONCE: u64 = 1_000;

/// The routes.
#[derive(Debug, Default)]
pub struct Suspects {
    routes: RefCell<Vec<Suspect>>,
    any: Cell<bool>,
}

#[derive(Debug)]
struct Suspect {
    route: String,
    deaths: u32,
    answers: u32,
    /// Coarse milliseconds of the last death that was counted.
    last: u64,
    /// The log has it.
    named: bool,
}

impl Suspect {
    fn is_deadly(&self) -> bool {
        self.deaths >= DEADLY && self.answers < self.deaths
    }
}

impl Suspects {
    /// A worker died while it served a request of this route. Returns the number of deaths when the route has just become deadly.
    pub fn died(&self, route: &str, now: u64) -> Option<u32> {
        self.forget(now);
        let mut routes = self.routes.borrow_mut();
        self.any.set(true);
        let Some(suspect) = routes.iter_mut().find(|suspect| suspect.route == route) else {
            if routes.len() >= MOST {
                let least = (0..routes.len()).min_by_key(|at| (routes[*at].deaths, routes[*at].last))?;
                routes.swap_remove(least);
            }
            routes.push(Suspect { route: route.to_owned(), deaths: 1, answers: 0, last: now, named: false });
            return None;
        };
        if now.saturating_sub(suspect.last) < AT_ONCE {
            return None;
        }
        suspect.deaths = suspect.deaths.saturating_add(1);
        suspect.last = now;
        let newly = suspect.is_deadly() && !suspect.named;
        suspect.named |= newly;
        newly.then_some(suspect.deaths)
    }

    /// A request was answered by a worker.
    pub fn answered(&self, method: &Method, path: &str) {
        if self.any.get() {
            self.count_answer(&route(method, path));
        }
    }

    #[cold]
    fn count_answer(&self, route: &str) {
        let mut routes = self.routes.borrow_mut();
        if let Some(suspect) = routes.iter_mut().find(|suspect| suspect.route == route) {
            suspect.answers = suspect.answers.saturating_add(1);
            suspect.named &= suspect.is_deadly();
        }
    }

    /// Whether workers die of this route again and again.
    pub fn is_deadly(&self, route: &str) -> bool {
        self.routes.borrow().iter().any(|suspect| suspect.route == route && suspect.is_deadly())
    }

    /// The deadly routes, at the coarse time `now`.
    pub fn convicted(&self, now: u64) -> Vec<DeadlyRoute> {
        self.forget(now);
        let routes = self.routes.borrow();
        let deadly = routes.iter().filter(|suspect| suspect.is_deadly());
        deadly.map(|suspect| DeadlyRoute { route: suspect.route.clone(), deaths: suspect.deaths }).collect()
    }

    fn forget(&self, now: u64) {
        if self.any.get() {
            let mut routes = self.routes.borrow_mut();
            routes.retain(|suspect| now.saturating_sub(suspect.last) < FORGET);
            self.any.set(!routes.is_empty());
        }
    }
}

/// The route of a request: `GET /users/*/report`.
pub fn route(method: &Method, path: &str) -> String {
    let mut route = method.as_str().chars().take(SEGMENT).collect::<String>() + " ";
    let mut segments = path.split('/').skip(1);
    for segment in segments.by_ref().take(SEGMENTS) {
        if looks_like_identifier(segment) {
            route.push_str("/*");
        } else {
            let end = (0..=segment.len().min(SEGMENT)).rev().find(|end| segment.is_char_boundary(*end));
            let cut = end.filter(|end| *end < segment.len());
            let _ =
                write!(route, "/{}{}", &segment[..end.unwrap_or(0)], if cut.is_some() { "…" } else { "" });
        }
    }
    if segments.next().is_some() {
        route.push_str("/…");
    }
    route
}

/// A number, or something long with a digit in it.
fn looks_like_identifier(segment: &str) -> bool {
    let digits = segment.bytes().filter(u8::is_ascii_digit).count();
    digits > 0 && (digits == segment.len() || (segment.len() >= 16 && digits >= 4))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_is_deadly_after_deaths_again_and_again() {
        let suspects = Suspects::default();
        assert_eq!(suspects.died("GET /crash", 0), None);
        assert_eq!(suspects.died("GET /crash", 2_000), None);
        assert!(!suspects.is_deadly("GET /crash"));
        assert_eq!(suspects.died("GET /crash", 4_000), Some(3));
        assert!(suspects.is_deadly("GET /crash"));
        assert_eq!(suspects.died("GET /crash", 6_000), None, "it is named once");
        assert_eq!(suspects.convicted(6_000), [DeadlyRoute { route: "GET /crash".into(), deaths: 4 }]);
        assert_eq!(suspects.convicted(6_000 + FORGET), []);
        assert!(!suspects.any.get());
    }

    #[test]
    fn a_route_that_is_answered_is_not_deadly() {
        let suspects = Suspects::default();
        suspects.died("GET /", 0);
        for _ in 0..3 {
            suspects.answered(&Method::GET, "/");
        }
        suspects.died("GET /", 2_000);
        assert_eq!(suspects.died("GET /", 4_000), None);
        assert_eq!(suspects.died("GET /", 6_000), Some(4), "it is answered no more");
        suspects.answered(&Method::GET, "/");
        assert_eq!(suspects.convicted(6_000), [], "it was repaired");
    }

    #[test]
    fn deaths_at_once_count_as_one() {
        let suspects = Suspects::default();
        for now in [0, 10, 20, 999] {
            assert_eq!(suspects.died("GET /", now), None);
        }
        assert_eq!(suspects.routes.borrow()[0].deaths, 1);
    }

    #[test]
    fn the_list_is_bounded_and_keeps_the_worst() {
        let suspects = Suspects::default();
        suspects.died("GET /bad", 0);
        suspects.died("GET /bad", 2_000);
        for n in 0..1_000 {
            assert_eq!(suspects.died(&format!("GET /{n}x"), 3_000 + n), None);
        }
        assert_eq!(suspects.routes.borrow().len(), MOST);
        assert_eq!(suspects.died("GET /bad", 9_000), Some(3));
    }

    #[test]
    fn routes() {
        let long = "a".repeat(5_000);
        let umlauts = "ä".repeat(50);
        let cases = [
            ("/", "GET /"),
            ("/a/b", "GET /a/b"),
            ("/users/17/report", "GET /users/*/report"),
            ("/v2/x", "GET /v2/x"),
            ("/o/550e8400-e29b-41d4-a716-446655440000", "GET /o/*"),
            ("/a/b/c/d/e/f", "GET /a/b/c/d/…"),
            (&format!("/{long}"), &format!("GET /{}…", &long[..SEGMENT])),
            (&format!("/{umlauts}"), &format!("GET /{}…", "ä".repeat(SEGMENT / 2))),
            ("*", "GET "),
        ];
        for (path, expected) in cases {
            assert_eq!(route(&Method::GET, path), expected);
        }
    }
}
