//! The environ: a template per profile with the constant entries, copied and completed for each request.

use crate::conversation::Conversation;
use crate::conversation::input::Input;
use crate::interpreter::application::{Application, NumberedProfile, Target, mod_wsgi_version};
use crate::interpreter::connection_templates::Lookup;
use gk_python::{Attached, Object, PyError};
use gk_wire::request::{RequestView, Texts};
use std::sync::Arc;

/// Number of the request thread that the template has.
const FIRST_THREAD: i64 = 1;

/// Entries that only this worker knows.
pub(crate) struct WorkerEntries {
    /// Number of the request thread.
    pub(crate) thread_id: i64,
    /// Epoch seconds: a request thread took the request. The application is called at once, so this is also
    /// `application_start`, unless its script had to be loaded first.
    pub(crate) daemon_start: f64,
    /// Epoch seconds.
    pub(crate) application_start: f64,
}

pub(crate) fn build<'p>(
    py: Attached<'p>,
    app: &Application,
    target: &Target,
    request: &RequestView<'_>,
    conversation: &Arc<Conversation>,
    here: &WorkerEntries,
) -> Result<Object<'p>, PyError<'p>> {
    let environ = of_connection(py, app, target, request)?;
    let (names, texts, numbers) = (&app.names, &request.texts, &request.numbers);
    let set = |key: &gk_python::Kept, value: &Object<'p>| environ.set_kept(key, value);

    set(&names.request_id, &decimal(py, numbers.request_id)?)?;
    if !texts.id.is_empty() {
        identify(py, app, texts, &environ)?;
    }
    if here.thread_id != FIRST_THREAD {
        set(&names.thread_id, &py.int(here.thread_id)?)?;
    }
    // Equal moments share their object.
    let moment = |key: &gk_python::Kept, at: f64, before: Option<(f64, &Object<'p>)>| {
        let value = match before {
            Some((same, object)) if same == at => object.clone(),
            _ => py.float(at)?,
        };
        set(key, &value).map(|()| value)
    };
    let request_start = moment(&names.request_start, numbers.request_start, None)?;
    moment(&names.queue_start, numbers.queue_start, Some((numbers.request_start, &request_start)))?;
    let daemon_start = moment(&names.daemon_start, here.daemon_start, None)?;
    moment(&names.application_start, here.application_start, Some((here.daemon_start, &daemon_start)))?;
    let input = app.input.instance(py, Input::new(Arc::clone(conversation)))?;
    set(&names.input, &input)?;
    Ok(environ)
}

/// The entries of a request that has an id, which no two requests share.
#[cold]
fn identify<'p>(
    py: Attached<'p>,
    app: &Application,
    texts: &Texts<'_>,
    environ: &Object<'p>,
) -> Result<(), PyError<'p>> {
    let id = py.latin1(texts.id)?;
    environ.set_item(&app.header_name(py, b"HTTP_X_REQUEST_ID")?, &id)?;
    environ.set_item(&app.header_name(py, b"gilkeeper.request_id")?, &id)?;
    if !texts.trace.is_empty() {
        environ.set_item(&app.header_name(py, b"HTTP_TRACEPARENT")?, &py.latin1(texts.trace)?)?;
    }
    Ok(())
}

/// A new environ with the entries that requests of this connection share, and those of its place. Setting an entry costs ten times as much
/// as copying it with its neighbours, a client's requests mostly have the same headers, and some clients ask for one place again and again.
fn of_connection<'p>(
    py: Attached<'p>,
    app: &Application,
    target: &Target,
    request: &RequestView<'_>,
) -> Result<Object<'p>, PyError<'p>> {
    match target.connections.find(py, request) {
        Lookup::Template(template, same_place) => {
            let environ = template.copy_dict()?;
            if !same_place {
                put_place(py, app, request, &environ)?;
            }
            Ok(environ)
        }
        found => {
            let environ = target.environ.bind(py).copy_dict()?;
            complete(py, app, request, &environ)?;
            put_place(py, app, request, &environ)?;
            if matches!(found, Lookup::Again) {
                target.connections.keep(py, request, environ.copy_dict()?);
            }
            Ok(environ)
        }
    }
}

/// Sets the entries of [`RequestView::place`]. The query string, too: a template has that of another request.
fn put_place<'p>(
    py: Attached<'p>,
    app: &Application,
    request: &RequestView<'_>,
    environ: &Object<'p>,
) -> Result<(), PyError<'p>> {
    let (names, texts) = (&app.names, &request.texts);
    environ.set_kept(&names.uri, &py.latin1(texts.uri)?)?;
    let path_info = py.latin1(texts.path_info)?;
    environ.set_kept(&names.own_path_info, &path_info)?;
    environ.set_kept(&names.path_info, &path_info)?;
    environ.set_kept(&names.query, &py.latin1(texts.query)?)
}

/// Sets the entries that requests of one connection mostly share.
fn complete<'p>(
    py: Attached<'p>,
    app: &Application,
    request: &RequestView<'_>,
    environ: &Object<'p>,
) -> Result<(), PyError<'p>> {
    let (names, texts, numbers) = (&app.names, &request.texts, &request.numbers);
    let set = |key: &gk_python::Kept, value: Object<'p>| environ.set_kept(key, &value);
    for (name, value) in request.pairs() {
        environ.set_item(&app.header_name(py, name)?, &py.latin1(value)?)?;
    }
    set(&names.remote_addr, py.latin1(texts.remote_addr)?)?;
    set(&names.remote_port, decimal(py, u64::from(numbers.remote_port))?)?;
    set(&names.connection_id, decimal(py, numbers.connection_id)?)?;
    set(&names.method, py.latin1(texts.method)?)?;
    let script_name = py.latin1(texts.script_name)?;
    set(&names.own_script_name, script_name.clone())?;
    set(&names.script_name, script_name)?;
    set(&names.server_name, py.latin1(texts.server_name)?)?;
    set(&names.server_port, decimal(py, u64::from(numbers.server_port))?)?;
    set(&names.server_addr, py.latin1(texts.server_addr)?)?;
    let protocol = match numbers.version {
        10 => "HTTP/1.0",
        20 => "HTTP/2.0",
        _ => "HTTP/1.1",
    };
    set(&names.protocol, py.str(protocol)?)?;
    let scheme = py.str(if numbers.https { "https" } else { "http" })?;
    set(&names.scheme, scheme.clone())?;
    set(&names.url_scheme, scheme)
}

/// Entries of every request of the profile.
pub(crate) fn template<'p>(
    py: Attached<'p>,
    app: &Application,
    profile: &NumberedProfile,
) -> Result<Object<'p>, PyError<'p>> {
    let environ = py.dict()?;
    // Has all keys that every request sets, so that a copy need not grow.
    for name in app.names.each() {
        environ.set_item(&name.bind(py), &py.none())?;
    }
    environ.set_kept(&app.names.query, &py.str("")?)?;
    environ.set_kept(&app.names.thread_id, &py.int(FIRST_THREAD)?)?;
    let put = |name: &str, value: Object<'p>| environ.set_item(&py.str(name)?.interned(), &value);
    let facts = &app.facts;
    put("wsgi.version", py.tuple(&[py.int(1)?, py.int(0)?])?)?;
    put("wsgi.multithread", py.bool(facts.threads != 1))?;
    put("wsgi.multiprocess", py.bool(facts.multiprocess))?;
    put("wsgi.run_once", py.bool(facts.run_once))?;
    put("wsgi.input_terminated", py.bool(true))?;
    put("wsgi.errors", app.runtime.errors.bind(py))?;
    put("wsgi.file_wrapper", app.runtime.file_wrapper.bind(py))?;
    put("mod_wsgi.version", mod_wsgi_version(py)?)?;
    put("mod_wsgi.server_pid", py.str(&std::os::unix::process::parent_id().to_string())?)?;
    put("mod_wsgi.process_group", py.str(&facts.process_group)?)?;
    put("mod_wsgi.application_group", py.str(&facts.application_group)?)?;
    put("mod_wsgi.callable_object", py.str(&profile.profile.callable)?)?;
    put("mod_wsgi.request_handler", py.str("wsgi-script")?)?;
    put("mod_wsgi.handler_script", py.str("")?)?;
    put("gilkeeper.version", py.str(gk_wire::PACKAGE_VERSION)?)?;
    for (name, value) in &profile.profile.environ {
        // Values come from a configuration file in UTF-8; the application sees their bytes as latin-1, as from the wire.
        put(name, py.latin1(value.as_bytes())?)?;
    }
    Ok(environ)
}

/// A number as a `str`.
fn decimal<'p>(py: Attached<'p>, mut number: u64) -> Result<Object<'p>, PyError<'p>> {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    while number >= 100 {
        at -= 2;
        let two = (number % 100) as u8;
        digits[at..at + 2].copy_from_slice(&[b'0' + two / 10, b'0' + two % 10]);
        number /= 100;
    }
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return py.latin1(&digits[at..]);
        }
    }
}
