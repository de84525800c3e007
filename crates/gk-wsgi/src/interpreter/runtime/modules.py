"""The modules `gilkeeper` and `mod_wsgi`, and the preparation of the interpreter."""


def gil_mode():
    """`shared`, `own` or `free-threading`; also `shared` if a module turned the GIL back on."""
    mode = facts["gil_mode"]
    return "shared" if mode == "free-threading" and sys._is_gil_enabled() else mode


def switch_interval():
    """Effective seconds; None without a GIL."""
    return None if gil_mode() == "free-threading" else sys.getswitchinterval()


def compute(module, **functions):
    """Gives a module attributes that are computed at each read."""
    before = module.__dict__.get("__getattr__")

    def __getattr__(name):
        if name in functions:
            return functions[name]()
        if before is not None:
            return before(name)
        raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")

    module.__getattr__ = __getattr__


def lazily(name):
    """`mod_wsgi.active_requests`, filled from its first use on."""
    if name == "active_requests":
        sys.modules["mod_wsgi"].__dict__[name] = tracked_requests()
        return active_requests
    raise AttributeError(f"module 'mod_wsgi' has no attribute {name!r}")


def leave_own_folder():
    """A sub-interpreter begins with the folder of the process's script on its path, with modules of the server's own, like `django`."""
    for argument in sys.orig_argv:
        folder, _, name = argument.rpartition("/")
        if name == "worker.py" and sys.path[:1] == [folder]:
            del sys.path[0]


def prepare():
    leave_own_folder()
    explain_daemon_threads()
    sys.stderr = LogStream("error")
    sys.stdout = Restricted("sys.stdout", "WSGIRestrictStdout") if facts["restrict_stdout"] else LogStream("error", 1)
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
    gilkeeper.__dict__.update(request_id=request_id, RequestFilter=RequestFilter)
    # For tests of the server itself.
    gilkeeper.__dict__["_references"] = host.references
    leave_imports_to_application(filter_before)


prepare()
