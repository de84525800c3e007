"""Prepares one interpreter: its log streams, the modules `gilkeeper` and `mod_wsgi`, script loading, signal.signal().

Run once in each interpreter by the worker. The names it starts with: `host` (what the worker does for Python: log,
request_client, ...) and `facts` (what this process and this interpreter are).
"""

import sys
import threading
import types


class LogStream:
    """A text stream whose lines become records of the error log, each line whole."""

    encoding = "utf-8"
    errors = "backslashreplace"
    newlines = None
    closed = False
    _most = 8192

    def __init__(self, level):
        self.level = level
        self.mode = "w"
        self.name = "<gilkeeper log>"
        self.buffer = LogBuffer(self)
        self._parts = threading.local()

    def write(self, text):
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        pending = getattr(self._parts, "text", "") + text
        if "\n" in pending:
            lines, _, pending = pending.rpartition("\n")
            host.log(self.level, lines)
        while len(pending) > self._most:
            host.log(self.level, pending[: self._most])
            pending = pending[self._most :]
        self._parts.text = pending
        return len(text)

    def writelines(self, lines):
        for line in lines:
            self.write(line)

    def flush(self):
        pending = getattr(self._parts, "text", "")
        if pending:
            self._parts.text = ""
            host.log(self.level, pending)

    def close(self):
        self.flush()

    def fileno(self):
        import io

        raise io.UnsupportedOperation("the log stream has no file descriptor")

    def isatty(self):
        return False

    def readable(self):
        return False

    def writable(self):
        return True

    def seekable(self):
        return False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.flush()


class LogBuffer:
    """The binary side of a `LogStream`."""

    def __init__(self, stream):
        self.raw = self
        self._stream = stream

    def write(self, data):
        data = bytes(data)
        self._stream.write(data.decode("utf-8", "backslashreplace"))
        return len(data)

    def flush(self):
        self._stream.flush()


class Restricted:
    """Stands for a standard stream that this server's configuration does not let the application use."""

    def __init__(self, name, directive):
        self.__dict__["_message"] = f"{name} access is restricted by the configuration ({directive} On)"

    def __getattr__(self, _):
        raise OSError(self._message)

    def __iter__(self):
        raise OSError(self._message)

    __next__ = __enter__ = __iter__

    def __setattr__(self, *_):
        raise OSError(self._message)


class FileWrapper:
    """`wsgi.file_wrapper`: an iterable over a file that the server may send without Python."""

    def __init__(self, filelike, blksize=8192):
        self.filelike = filelike
        self.blksize = blksize
        if hasattr(filelike, "close"):
            self.close = filelike.close

    def __iter__(self):
        return self

    def __next__(self):
        data = self.filelike.read(self.blksize)
        if data:
            return data
        raise StopIteration


class RequestTimeout(BaseException):
    """Raised in a request thread whose request ran longer than request-timeout allows."""


def regular_file(wrapper):
    """(descriptor, offset, size) when the wrapped object is a regular file with a position, else None."""
    import io
    import os
    import stat

    filelike = wrapper.filelike
    # Others may give other bytes than their descriptor: gzip.open() does.
    if type(filelike) not in (io.BufferedReader, io.BufferedRandom, io.FileIO):
        return None
    if type(getattr(filelike, "raw", filelike)) is not io.FileIO:
        return None
    try:
        descriptor = filelike.fileno()
        offset = filelike.tell()
        status = os.fstat(descriptor)
    except Exception:
        return None
    if not stat.S_ISREG(status.st_mode) or not isinstance(offset, int):
        return None
    return (descriptor, offset, status.st_size)


def compile_script(path):
    with open(path, "rb") as file:
        return compile(file.read(), path, "exec", dont_inherit=True)


def run_script(code, path, name, mtime):
    module = types.ModuleType(name)
    module.__file__ = path
    module.__mtime__ = mtime
    sys.modules[name] = module
    try:
        exec(code, module.__dict__)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


def import_module(name):
    import importlib

    return importlib.import_module(name)


def add_paths(paths):
    """`site.addsitedir` for each, what is new moved to the front of `sys.path`."""
    import site

    before = list(sys.path)
    for path in paths:
        site.addsitedir(path)
    new = [entry for entry in sys.path if entry not in before]
    sys.path[:] = new + before


def insert_home(path):
    sys.path.insert(0, path)


def set_locale(name):
    import locale

    locale.setlocale(locale.LC_ALL, name)


event_callbacks, shutdown_callbacks, signal_callbacks = [], [], []
active_requests = {}


def subscribe_events(callback):
    event_callbacks.append(callback)
    return callback


def subscribe_shutdown(callback):
    shutdown_callbacks.append(callback)
    return callback


def subscribe_signals(callback):
    signal_callbacks.append(callback)
    return callback


def publish(name, event, callbacks):
    """Calls each callback with the event; one that raises is logged and the next one runs."""
    for callback in list(callbacks):
        try:
            result = callback(name, **event)
            if isinstance(result, dict):
                event.update(result)
        except SystemExit:
            host.log("error", f"SystemExit raised by the subscriber {callback!r} at {name} was ignored", "WSGI0190")
        except BaseException:
            import traceback

            text = f"The subscriber {callback!r} failed at {name}\n{traceback.format_exc()}"
            host.log("error", text, "WSGI0112")


def request_data():
    """The dict that belongs to the request of this thread, for the application to use as it likes."""
    request_id = host.request_id()
    if request_id is None:
        raise RuntimeError("request_data() works only in a thread that serves a request of this application group")
    host.track(active_requests)
    return active_requests.setdefault(request_id, {})


def tracked_requests():
    """`active_requests`, filled from now on. Until somebody asks, nothing is written down."""
    host.track(active_requests)
    return active_requests


class WatchedRequest:
    """A request of an application that subscribed to events: what is called in place of the application and of
    start_response, and what is told of the rest."""

    __slots__ = ("request_id", "data", "application", "start_response", "times", "application_start")

    def __init__(self, environ, application, start_response):
        self.data = request_data()
        self.request_id = environ["mod_wsgi.request_id"]
        self.application_start = environ["mod_wsgi.application_start"]
        self.start_response = start_response
        self.times = {
            "thread_id": environ["mod_wsgi.thread_id"],
            "server_pid": facts["server_pid"],
            "request_start": environ["mod_wsgi.request_start"],
            "queue_start": environ["mod_wsgi.queue_start"],
            "daemon_start": environ["mod_wsgi.daemon_start"],
        }
        event = {
            "request_id": self.request_id,
            "daemon_connects": 1,
            "daemon_restarts": 0,
            **self.times,
            "application_start": self.application_start,
            "application_object": application,
            "callable_object": environ["mod_wsgi.callable_object"],
            "request_environ": environ,
            "request_data": self.data,
        }
        publish("request_started", event, event_callbacks)
        self.application = event["application_object"]

    def __call__(self, status, headers, exc_info=None):
        """start_response, as the application is given it."""
        event = {
            "request_id": self.request_id,
            "response_status": status,
            "response_headers": headers,
            "exception_info": exc_info,
            "request_data": self.data,
        }
        publish("response_started", event, event_callbacks)
        return self.start_response(status, headers, exc_info)

    def failed(self, error):
        info = (type(error), error, error.__traceback__)
        event = {"request_id": self.request_id, "exception_info": info, "request_data": self.data}
        publish("request_exception", event, event_callbacks)

    def finished(self, measured):
        import time

        finish = time.time()
        event = {"request_id": self.request_id, **self.times, "application_start": self.application_start, **measured}
        event["application_finish"] = finish
        event["application_time"] = max(finish - self.application_start, 0.0)
        event["request_data"] = self.data
        publish("request_finished", event, event_callbacks)


def start_recording_metrics():
    """Begins the window of request_metrics(); both give None before."""
    host.metrics(0)


def metrics(question):
    text = host.metrics(question)
    if text is None:
        return None
    import json

    return json.loads(text)


def request_metrics():
    """What was measured of requests since the last call, in this process; None where nothing is recorded."""
    return metrics(1)


def process_metrics():
    """What this process has done and used since it began; None where nothing is recorded."""
    return metrics(2)


def server_metrics():
    """None: there is no scoreboard of a server above the processes here."""
    return None


def watch_collections(group):
    """From now on, garbage collections of this interpreter are told of, under the group's number on the scoreboard."""
    import gc
    from time import perf_counter_ns

    report, began = host.collected, 0

    def watch(phase, info):
        nonlocal began
        if phase == "start":
            began = perf_counter_ns()
        else:
            report(group, info["generation"], perf_counter_ns() - began, info["collected"], info["uncollectable"])

    gc.callbacks.append(watch)
    collection_watchers.append(watch)


collection_watchers = []


def stopping(reason):
    """Tells the application that its process ends, while its interpreter is fully alive."""
    event = {"shutdown_reason": reason}
    publish("process_stopping", event, event_callbacks)
    publish("process_stopping", event, shutdown_callbacks)


def signalled(name, number):
    """Tells the application that its process was sent a signal that it may use as it likes."""
    publish("process_signal", {"signame": name, "signum": number}, signal_callbacks)


def heed_signals():
    """A service script ends by SystemExit when its process is told to end."""
    import signal

    def told(number, frame):
        raise SystemExit

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, told)


# === the end ===

ending = threading.Lock()


def end_threads():
    """Joins the threads that are not daemons, as CPython does at the end of an interpreter."""
    threading._shutdown()
    # CPython calls it once more; some versions may not be called twice.
    threading._shutdown = lambda: None


def end_functions():
    """Calls what was registered with `atexit`, each of them once, and empties the standard streams."""
    import atexit

    def failed(unraisable):
        if isinstance(unraisable.exc_value, SystemExit):
            host.log("error", f"SystemExit raised by {unraisable.object!r} at the end was ignored", "WSGI0097")
            return
        import traceback

        lines = traceback.format_exception(unraisable.exc_value)
        host.log("error", f"A function registered with atexit failed\n{''.join(lines)}", "WSGI0098")

    with ending:
        before, sys.unraisablehook = sys.unraisablehook, failed
        try:
            atexit._run_exitfuncs()
        finally:
            sys.unraisablehook = before
    import gc

    # What the end of the interpreter collects is no pause of anybody's.
    while collection_watchers:
        watch = collection_watchers.pop()
        if watch in gc.callbacks:
            gc.callbacks.remove(watch)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, Restricted):
            # CPython flushes it at the end, and would take the refusal for a failure.
            setattr(sys, name, None)
            continue
        try:
            stream.flush()
        except Exception:
            continue


def living_threads(daemons):
    """The names of the threads that the application started and that still run: daemons, or the others."""
    return [
        thread.name
        for thread in threading.enumerate()
        if thread.daemon == daemons
        and thread.is_alive()
        and thread is not threading.main_thread()
        and not isinstance(thread, threading._DummyThread)
    ]


def thread_names():
    """(the kernel's id, name) of the living threads that `threading` knows."""
    return [
        (thread.native_id, str(thread.name))
        for thread in threading.enumerate()
        if thread.native_id and not isinstance(thread, threading._DummyThread)
    ]


def held_up():
    """What the end of this interpreter waits for, as a sentence's part; empty when it waits for no thread."""
    import atexit

    names = ", ".join(repr(name) for name in living_threads(False))
    if not names:
        return ""
    count = atexit._ncallbacks()
    functions = f"; {count} functions registered with atexit wait behind them" if count else ""
    return f"{names}{functions}"


def stacks(threads, several_gils):
    """The Python stacks of these threads (ident, number of its thread state) of this interpreter, as text by ident."""
    import traceback

    if several_gils:
        # sys._current_frames() would look into the interpreters beside this one, whose GILs this thread does not hold.
        by_state = dict(host.frames())
        frames = {ident: by_state[state] for ident, state in threads if state in by_state}
    else:
        frames = sys._current_frames()
    return [(ident, "".join(traceback.format_stack(frames[ident]))) for ident, _ in threads if ident in frames]


class LogHandler:
    """Replaced by a real `logging.Handler` on first use: `logging` is not imported for those who do not want it."""

    def __new__(cls, *args, **kwargs):
        import logging

        names = {"CRITICAL": "crit", "ERROR": "error", "WARNING": "warn", "INFO": "info", "DEBUG": "debug"}

        class Handler(logging.Handler):
            """Writes records to the server's error log at the matching level."""

            def emit(self, record):
                try:
                    host.log(names.get(record.levelname, "error"), self.format(record))
                except Exception:
                    self.handleError(record)

        Handler.__name__ = Handler.__qualname__ = "LogHandler"
        return Handler(*args, **kwargs)


def gil_mode():
    """`shared`, `own` or `free-threading`; shared also where a module turned the GIL back on."""
    mode = facts["gil_mode"]
    return "shared" if mode == "free-threading" and sys._is_gil_enabled() else mode


def switch_interval():
    """Effective seconds; None where there is no GIL."""
    return None if gil_mode() == "free-threading" else sys.getswitchinterval()


def watch_imports():
    """Has each extension module that is loaded reported, so that one that turns the GIL back on is known by name."""
    import _imp

    original = _imp.create_dynamic

    def create_dynamic(spec, file=None):
        host.import_began()
        try:
            return original(spec) if file is None else original(spec, file)
        finally:
            host.import_ended(spec.name)

    create_dynamic.__doc__ = original.__doc__
    _imp.create_dynamic = create_dynamic


def compute(module, **functions):
    """Gives a module attributes that are computed whenever they are read."""
    before = module.__dict__.get("__getattr__")

    def __getattr__(name):
        if name in functions:
            return functions[name]()
        if before is not None:
            return before(name)
        raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")

    module.__getattr__ = __getattr__


def restrict_signal():
    """Makes signal.signal() a logged no-op: this process's signals belong to the server."""
    import _signal
    import os

    original, owner = _signal.signal, os.getpid()

    def signal(signalnum, handler):
        if os.getpid() != owner:
            return original(signalnum, handler)
        import traceback

        host.log(
            "info",
            f"Registration of a handler for signal {int(signalnum)} was ignored\n"
            + "".join(traceback.format_stack(sys._getframe(1))),
        )
        return handler

    signal.__doc__ = original.__doc__
    _signal.signal = signal


def lazily(name):
    """`mod_wsgi.active_requests`: kept from the moment that somebody asks for it."""
    if name == "active_requests":
        sys.modules["mod_wsgi"].__dict__[name] = tracked_requests()
        return active_requests
    raise AttributeError(f"module 'mod_wsgi' has no attribute {name!r}")


def list_active_requests():
    """The requests that this application group serves at this moment in this process."""
    return [{"request_id": key, "request_data": data} for key, data in list(tracked_requests().items())]


def explain_daemon_threads():
    """An interpreter with its own GIL can have no daemon threads: says so where one is made, with the way out."""
    allowed = getattr(threading, "_daemon_threads_allowed", None)
    if allowed is None or allowed():
        return
    dummy = threading._DummyThread.__init__.__code__
    group = facts["application_group"]

    def refused():
        frame = sys._getframe(1)
        if frame.f_code is dummy:
            return False
        while frame is not None and frame.f_code.co_filename == threading.__file__:
            frame = frame.f_back
        place = f" ({frame.f_code.co_filename}, line {frame.f_lineno})" if frame is not None else ""
        text = (
            f"application group '{group}' has an interpreter with its own GIL, where CPython allows no daemon threads: "
            "make the thread an ordinary one (daemon=False), and end it from a function given to "
            "gilkeeper.subscribe_shutdown"
        )
        host.log("error", f"A daemon thread was refused{place}: {text}", "GK0004")
        raise RuntimeError(text)

    threading._daemon_threads_allowed = refused


def prepare():
    explain_daemon_threads()
    sys.stderr = LogStream("error")
    sys.stdout = Restricted("sys.stdout", "WSGIRestrictStdout") if facts["restrict_stdout"] else LogStream("error")
    if facts["restrict_stdin"]:
        sys.stdin = Restricted("sys.stdin", "WSGIRestrictStdin")
    if facts["restrict_signal"]:
        restrict_signal()
    if facts["gil_mode"] == "free-threading":
        watch_imports()
    sys.argv = ["mod_wsgi"]

    shared = {
        "process_group": facts["process_group"],
        "application_group": facts["application_group"],
        "maximum_processes": facts["processes"],
        "threads_per_process": facts["threads"],
        "FileWrapper": FileWrapper,
        "RequestTimeout": RequestTimeout,
        "LogHandler": LogHandler,
        "request_data": request_data,
        "start_recording_metrics": start_recording_metrics,
        "request_metrics": request_metrics,
        "process_metrics": process_metrics,
        "server_metrics": server_metrics,
        "subscribe_events": subscribe_events,
        "subscribe_shutdown": subscribe_shutdown,
        "subscribe_signals": subscribe_signals,
        "event_callbacks": event_callbacks,
        "shutdown_callbacks": shutdown_callbacks,
        "signal_callbacks": signal_callbacks,
    }
    compatible = types.ModuleType("mod_wsgi", "What mod_wsgi gives an application, given by Gilkeeper.")
    compatible.__dict__.update(shared, version=tuple(facts["mod_wsgi_version"]))
    compatible.__getattr__ = lazily
    sys.modules["mod_wsgi"] = compatible
    try:
        import gilkeeper
    except ImportError:
        gilkeeper = sys.modules["gilkeeper"] = types.ModuleType("gilkeeper")
    gilkeeper.__dict__.update(shared, version=facts["version"])
    compute(gilkeeper, gil_mode=gil_mode, switch_interval=switch_interval)
    gilkeeper.__dict__["active_requests"] = list_active_requests
    # For tests of the server itself.
    gilkeeper.__dict__["_references"] = host.references


prepare()
errors = LogStream("error")
