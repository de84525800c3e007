//! One request, top to bottom: the callable, its environ, the call, the iterable, `close()`. This file alone decides what
//! each failure gives the client and the log.

pub(crate) mod environ;
pub(crate) mod events;
pub mod prepared;

use crate::call::environ::WorkerEntries;
use crate::call::events::WatchedRequest;
use crate::call::prepared::Prepared;
use crate::conversation::outcome::Outcome;
use crate::conversation::start_response::StartResponse;
use crate::conversation::{Conversation, ResponseEnd, Unsent};
use crate::exchange::Exchange;
use crate::forked::{Called, stop_child};
use crate::interpreter::active_requests::ActiveRequest;
use crate::interpreter::application::{Application, NumberedProfile, Target};
use crate::interpreter::connection_templates::ConnectionTemplates;
use crate::interpreter::script::LoadedScript;
use crate::log::{CurrentRequest, log};
use crate::metrics;
use gk_python::error::Builtin;
use gk_python::{Attached, Object, PyError};
use gk_sys::clock::Moment;
use gk_wire::log::Level;
use gk_wire::request::RequestView;
use std::sync::Arc;

/// A request as the worker passes it in.
pub struct Call<'a> {
    /// Script, callable, fixed environ.
    pub profile: &'a NumberedProfile,
    /// The request itself.
    pub request: RequestView<'a>,
    /// Number of the request thread, from 1.
    pub thread_id: i64,
    /// Time at which a request thread took the request.
    pub taken: Moment,
    /// Its thread took it right after another one, without a pause.
    pub in_a_row: bool,
    /// `taken` in epoch seconds.
    pub daemon_start: f64,
}

/// Serves one request. The exchange hears of every outcome, and `close()` of the iterable is always called.
pub fn serve(
    py: Attached<'_>,
    app: &Application,
    call: &Call<'_>,
    prepared: Prepared,
    exchange: Arc<dyn Exchange>,
) -> Outcome {
    let texts = &call.request.texts;
    let log = call.profile.profile.error_log.as_deref();
    let _client = CurrentRequest::enter(texts.remote_addr, call.request.numbers.remote_port, texts.id, log);
    // Subscribers hear of requests, and no password.
    let watched = !call.profile.profile.hook && events::wanted(py, app);
    let conversation = Arc::new(Conversation::new(exchange, texts.method == b"HEAD", call.taken, watched));
    let requests = || app.runtime.active_requests.bind(py);
    let running = ActiveRequest::begin(&app.tracking, call.request.numbers.request_id, requests);
    if !texts.id.is_empty() {
        identify(py, app, Some(texts.id));
    }
    let mut application_start = None;
    match prepared.0 {
        Some(target) => {
            answer(py, app, call, &target, &conversation, call.daemon_start);
        }
        None => {
            if let Some(target) = first(py, app, call, &conversation) {
                application_start = Some(Moment::now());
                answer(py, app, call, &target, &conversation, gk_sys::clock::epoch_seconds());
            }
        }
    }
    // The end of an object may run Python code, too: within the request it counts for its time limit, and has the child that it forks ended.
    app.loans.release(py);
    // Subscribers, for example, may have forked.
    stop_child(py, &app.runtime, called(call), None);
    let outcome = conversation.close();
    running.end(requests);
    if !texts.id.is_empty() {
        identify(py, app, None);
    }
    Outcome { application_start, ..outcome }
}

/// Sets the id of the request for the application's own logging.
#[cold]
fn identify(py: Attached<'_>, app: &Application, id: Option<&[u8]>) {
    let id = id.map_or_else(|| Ok(py.none()), |id| py.latin1(id));
    // Out of memory: the application's lines are without it.
    let _ = id.and_then(|id| app.runtime.set_request_id.bind(py).call(&[&id]));
}

/// Loads the script at the first request of a profile. Returns `None` if that fails; the client has been answered then.
fn first(
    py: Attached<'_>,
    app: &Application,
    call: &Call<'_>,
    conversation: &Conversation,
) -> Option<Arc<Target>> {
    let profile = &call.profile.profile;
    let script = if profile.hook {
        // It loads its script itself, at each change.
        let load =
            || py.str(&profile.script).and_then(|path| app.runtime.hook_script.bind(py).call(&[&path]));
        let known = app.hook(call.profile).map_or_else(
            || load().map(|script| app.keep_hook(call.profile, LoadedScript::new(&script, None))),
            Ok,
        );
        match known {
            Ok(script) => script,
            Err(error) => {
                failed(py, app, call, conversation, &error);
                return None;
            }
        }
    } else {
        match app.scripts.load(py, &app.runtime, &profile.script, profile.module, true) {
            Ok(script) => script,
            Err(failure) => {
                conversation.fail(failure.status, "the script could not be loaded");
                return None;
            }
        }
    };
    if !profile.hook {
        let found = app.scripts.complete(py, &app.runtime, &script, &profile.script, &profile.callable);
        if let Err(error) = found {
            failed(py, app, call, conversation, &error);
            return None;
        }
    }
    let made = py.str(&profile.callable).map(Object::interned).and_then(|callable| {
        let environ = environ::template(py, app, call.profile)?.keep();
        Ok(Target { script, callable: callable.keep(), environ, connections: ConnectionTemplates::default() })
    });
    match made {
        Ok(target) => Some(app.keep_target(call.profile, call.thread_id, target)),
        Err(error) => {
            failed(py, app, call, conversation, &error);
            None
        }
    }
}

/// The code that a request calls.
fn called<'a>(call: &'a Call<'_>) -> Called<'a> {
    Called::Application(&call.profile.profile.script)
}

fn answer(
    py: Attached<'_>,
    app: &Application,
    call: &Call<'_>,
    target: &Target,
    conversation: &Arc<Conversation>,
    application_start: f64,
) {
    target.script.mark_used();
    let callable = match target.script.module.attr(py, &target.callable) {
        Ok(callable) => callable,
        Err(error) if error.is_attribute_error() => {
            let profile = &call.profile.profile;
            let text = format!("'{}' has no callable named '{}'", profile.script, profile.callable);
            log(Level::Error, Some("WSGI0089"), &text);
            return conversation.fail(500, &text);
        }
        // Raised by the module's own `__getattr__`, or by an interrupt.
        Err(error) => return failed(py, app, call, conversation, &error),
    };
    if let Err(error) = converse(py, app, call, target, &callable, conversation, application_start) {
        failed(py, app, call, conversation, &error);
    }
}

fn converse<'p>(
    py: Attached<'p>,
    app: &Application,
    call: &Call<'_>,
    target: &Target,
    callable: &Object<'p>,
    conversation: &Arc<Conversation>,
    application_start: f64,
) -> Result<(), PyError<'p>> {
    let here =
        WorkerEntries { thread_id: call.thread_id, daemon_start: call.daemon_start, application_start };
    let environ = environ::build(py, app, target, &call.request, conversation, &here)?;
    let start_response = StartResponse { conversation: Arc::clone(conversation) };
    let start_response = app.start_response.instance(py, start_response)?;
    if !conversation.watched() {
        return run(app, call, callable, &environ, &start_response, conversation, |_| ());
    }
    let watched = WatchedRequest::start(py, app, &environ, callable, &start_response)?;
    let failed = |error: &PyError<'p>| watched.failed(error);
    let outcome = watched.application().and_then(|callable| {
        run(app, call, &callable, &environ, watched.start_response(), conversation, failed)
    });
    if let Err(error) = &outcome {
        // Before `finished`, so that the event has the status of the error page.
        self::failed(py, app, call, conversation, error);
    }
    watched.finished(conversation);
    Ok(())
}

/// The call, the iterable, `close()`. `on_error` gets the application's exception before `close()` is called. A child that was
/// forked meanwhile ends where its code gives control back: `close()` is its parent's.
fn run<'p>(
    app: &Application,
    call: &Call<'_>,
    callable: &Object<'p>,
    environ: &Object<'p>,
    start_response: &Object<'p>,
    conversation: &Arc<Conversation>,
    on_error: impl Fn(&PyError<'p>),
) -> Result<(), PyError<'p>> {
    let py = callable.py();
    let iterable = callable.call(&[environ, start_response]);
    stop_child(py, &app.runtime, called(call), iterable.as_ref().err());
    let iterable = iterable.inspect_err(&on_error)?;
    let sent = send(py, app, call, &iterable, conversation);
    stop_child(py, &app.runtime, called(call), sent.as_ref().err());
    let sent = sent.inspect_err(&on_error);
    // `close()` is called in any case; the application's own error comes first in the log.
    let closed = close(app, &iterable);
    stop_child(py, &app.runtime, called(call), closed.as_ref().err());
    match (sent, closed) {
        (Err(error), Err(at_close)) => {
            log_exception(call, &at_close);
            Err(error)
        }
        (Err(error), Ok(())) => Err(error),
        (Ok(()), closed) => closed.inspect_err(&on_error),
    }
}

fn send<'p>(
    py: Attached<'p>,
    app: &Application,
    call: &Call<'_>,
    iterable: &Object<'p>,
    conversation: &Conversation,
) -> Result<(), PyError<'p>> {
    let mut whole = false;
    if iterable.is_exactly_kept(&app.runtime.file_wrapper) {
        match send_file(py, app, iterable, conversation)? {
            FileStart::HandedOver => return Ok(()),
            FileStart::Read { content, all } => {
                if let Some(bytes) = content.as_bytes().filter(|_| all) {
                    conversation.fill_length(bytes.len() as u64);
                }
                if !send_block(app, &content, conversation, all)? {
                    return Ok(());
                }
                whole = all;
            }
            FileStart::Nothing => {}
        }
    }
    if whole {
        // Nothing is left to ask for.
    } else if iterable.is_list() && iterable.list_len() == 1 {
        let block = iterable.list_item(0)?;
        if let Some(bytes) = block.as_bytes() {
            conversation.fill_length(bytes.len() as u64);
        }
        if !send_block(app, &block, conversation, true)? {
            return Ok(());
        }
    } else if iterable.is_list() || iterable.is_tuple() {
        let blocks = iterable.to_tuple()?;
        let count = blocks.size()?;
        for index in 0..count {
            let block = blocks.tuple_item(index)?;
            if count == 1
                && let Some(bytes) = block.as_bytes()
            {
                conversation.fill_length(bytes.len() as u64);
            }
            if !send_block(app, &block, conversation, index + 1 == count)? {
                return Ok(());
            }
        }
    } else {
        let iterator = iterable.iter()?;
        while let Some(block) = iterator.next()? {
            stop_child(py, &app.runtime, called(call), None);
            if !send_block(app, &block, conversation, false)? {
                return Ok(());
            }
            conversation.exchange.flush();
        }
    }
    match conversation.finish() {
        ResponseEnd::Complete => Ok(()),
        ResponseEnd::Short(missing) => {
            log(Level::Info, None, &format!("The response ended {missing} bytes before its Content-Length"));
            Ok(())
        }
        ResponseEnd::NoHead => Err(not_started(py)),
    }
}

/// Sends a block. Returns `false` if the client is gone.
fn send_block<'p>(
    app: &Application,
    block: &Object<'p>,
    conversation: &Conversation,
    last: bool,
) -> Result<bool, PyError<'p>> {
    let Some(bytes) = block.as_bytes() else {
        let text = format!("the response iterable must yield bytes, not {}", block.type_name());
        return Err(PyError::new(block.py(), Builtin::TypeError, &text));
    };
    match conversation.object(block, bytes, &app.loans, last) {
        Ok(()) => Ok(true),
        Err(Unsent::Gone) => Ok(false),
        Err(Unsent::NoHead) => Err(not_started(block.py())),
    }
}

fn not_started(py: Attached<'_>) -> PyError<'_> {
    PyError::new(
        py,
        Builtin::RuntimeError,
        "start_response() must be called before the response body is sent",
    )
}

/// The first step with a wrapped file.
enum FileStart<'p> {
    /// The exchange has it.
    HandedOver,
    /// It has no size, so its first bytes were read; `all`: nothing follows them.
    Read { content: Object<'p>, all: bool },
    /// It has to be read block by block.
    Nothing,
}

/// Hands a wrapped regular file to the exchange, if it is one.
fn send_file<'p>(
    py: Attached<'p>,
    app: &Application,
    wrapper: &Object<'p>,
    conversation: &Conversation,
) -> Result<FileStart<'p>, PyError<'p>> {
    if !conversation.head_waits() {
        return Ok(FileStart::Nothing);
    }
    let found = app.runtime.regular_file.bind(py).call(&[wrapper])?;
    if found.is_none() {
        return Ok(FileStart::Nothing);
    }
    if found.size()? == 2 {
        return Ok(FileStart::Read { content: found.tuple_item(0)?, all: found.tuple_item(1)?.truth()? });
    }
    let number = |i| found.tuple_item(i).and_then(|n| n.index());
    let (descriptor, offset, size) = (number(0)?, number(1)?.max(0) as u64, number(2)?.max(0) as u64);
    let Ok(file) = gk_sys::descriptors::duplicate(descriptor as i32) else { return Ok(FileStart::Nothing) };
    let taken = conversation.file(py, file, offset, size.saturating_sub(offset));
    Ok(if taken { FileStart::HandedOver } else { FileStart::Nothing })
}

fn close<'p>(app: &Application, iterable: &Object<'p>) -> Result<(), PyError<'p>> {
    let py = iterable.py();
    if iterable.is_list() || iterable.is_tuple() {
        return Ok(());
    }
    match iterable.attr_if_there(&app.close.bind(py)) {
        Ok(Some(close)) => close.call(&[]).map(drop),
        Ok(None) => Ok(()),
        Err(error) => {
            log(Level::Error, Some("WSGI0194"), &error.traceback());
            Ok(())
        }
    }
}

fn failed<'p>(
    py: Attached<'p>,
    app: &Application,
    call: &Call<'_>,
    conversation: &Conversation,
    error: &PyError<'p>,
) {
    stop_child(py, &app.runtime, called(call), Some(error));
    metrics::raised(|| script_type(error.type_in_full()));
    let timeout = error.is_a(&app.runtime.request_timeout.bind(py));
    if timeout {
        // The stack was logged before RequestTimeout was raised.
        log(Level::Info, None, "The request was interrupted by RequestTimeout; its thread goes on");
    } else if error.is_system_exit() {
        log(Level::Error, Some("WSGI0175"), "SystemExit raised by the application was ignored");
    } else {
        log_exception(call, error);
    }
    conversation.fail(if timeout { 504 } else { 500 }, "the application failed");
}

/// A type that a script defines has no module that its author knows.
fn script_type(name: String) -> String {
    let own = name.strip_prefix("_mod_wsgi_").and_then(|name| name.split_once('.'));
    own.map(|(_, name)| name.to_owned()).unwrap_or(name)
}

/// The first line is mod_wsgi's, for whoever searches for a code and a script.
fn log_exception(call: &Call<'_>, error: &PyError<'_>) {
    let (kind, script) = (error.value().type_name(), &call.profile.profile.script);
    let text = format!("{kind} exception raised processing WSGI script '{script}'\n{}", error.traceback());
    log(Level::Error, Some("WSGI0174"), &text);
}
