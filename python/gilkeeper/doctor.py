"""The child process of `gilkeeper doctor`, one for each trial: imports something in one kind of interpreter and reports.

The only argument is the job, as JSON. Events are written to descriptor 3, one JSON object a line, at once: when this process
crashes or hangs, the last lines show where. Any CPython from 3.11 on runs it, and the files beside it.

Job: `interpreter` (main, shared, own), `interpreters` (how many in a row, for shared), `what` (application, import, extension,
extensions, unloaded, environment), for the application `script`, `module`, `callable`, `also`; for an import `name`; for an extension
`name` and `file`, for several `files` (pairs of both); for those not loaded `names`; for imports inside functions `later` (null: find
them out); for the installed packages `without` (those to leave out); `home`, `python_path`, `describe`, `end`.
"""

import sys

REPORT = 3
SOURCE = __file__ if "__file__" in globals() else ""
HERE = SOURCE.rpartition("/")[0]
MODULES, CALLABLES, FUNCTIONS = (f"{HERE}/{name}.py" for name in ("doctor_modules", "callables", "doctor_functions"))
OWN = (SOURCE, MODULES, FUNCTIONS)


def tell(event, **values):
    import json
    import os

    line = json.dumps({"event": event, **values}, default=str) + "\n"
    data = line.encode("utf-8", "backslashreplace")
    while data:
        data = data[os.write(REPORT, data) :]


def one_line(error):
    """The last line of the exception's traceback, without line breaks."""
    import traceback

    return " ".join("".join(traceback.format_exception_only(type(error), error)).split())


def gil():
    """Whether the GIL is on; None if this Python cannot tell."""
    ask = getattr(sys, "_is_gil_enabled", None)
    return ask() if ask else None


# === Origin of code ===


class Places:
    """Distinguishes the standard library, installed packages and the application's own files."""

    def __init__(self):
        import os
        import sysconfig

        self.real = os.path.realpath
        self.standard = [self.real(sysconfig.get_path(name)) + os.sep for name in ("stdlib", "platstdlib")]
        self.installed = [self.real(sysconfig.get_path(name)) + os.sep for name in ("purelib", "platlib")]

    def kind(self, file):
        if not file or file.startswith("<"):
            return "standard"
        file = self.real(file)
        if "/site-packages/" in file or "/dist-packages/" in file or file.startswith(tuple(self.installed)):
            return "installed"
        return "standard" if file.startswith(tuple(self.standard)) else "application"

    def chain(self, frame):
        """The modules with running code, outermost first: [name, kind]."""
        found = []
        while frame:
            name, file = frame.f_globals.get("__name__") or "?", frame.f_code.co_filename
            skip = file in OWN or file.startswith("<frozen importlib") or name.partition(".")[0] == "importlib"
            if not skip and (not found or found[-1][0] != name):
                found.append([name, self.kind(frame.f_globals.get("__file__") or file)])
            frame = frame.f_back
        return found[::-1]

    def caller(self, frame, skip=()):
        """The module that called, its kind and the line: the innermost frame outside of `skip`."""
        while frame and (frame.f_code.co_filename in OWN or frame.f_globals.get("__name__") in skip):
            frame = frame.f_back
        if frame is None:
            return {"by": "?", "kind": "standard", "line": 0}
        file = frame.f_globals.get("__file__") or frame.f_code.co_filename
        return {"by": frame.f_globals.get("__name__") or "?", "kind": self.kind(file), "file": file, "line": frame.f_lineno}


# === Watching an interpreter ===


class Watch:
    """Watches extension modules being loaded, threads, atexit functions and signal handlers in this interpreter."""

    def __init__(self):
        self.places = Places()
        self.modules = {}
        self.threads = []
        self.shutdown = []
        self.refused = []
        self.warned = None

    def begin(self):
        from importlib.machinery import ExtensionFileLoader
        # A lazy import (3.15) hides what it imports until the first request uses it.
        getattr(sys, "set_lazy_imports_filter", id)(lambda importer, name, fromlist: False)
        self.early = [
            (name, module)
            for name, module in list(sys.modules.items())
            if isinstance(getattr(getattr(module, "__spec__", None), "loader", None), ExtensionFileLoader)
        ]
        self.loader(ExtensionFileLoader)
        self.warnings()
        self.thread_start()
        self.atexit()
        self.signals()

    def each_extension(self, job):
        """Loads the modules of several files alone, one after the other: a process for each takes longer than most imports."""
        for name, file in job["files"]:
            self.refused, error = [], None
            try:
                if name not in sys.modules:
                    extension({"name": name, "file": file})
            except BaseException as problem:
                sys.modules.pop(name, None)
                error = one_line(problem)
            tell("alone", name=name, error=error, other=next((one for one in self.refused if one != name), None))

    def loader(self, cls):
        create, execute, watch = cls.create_module, cls.exec_module, self

        def step(loader, name, stage, act):
            before, watch.warned = gil(), None
            try:
                result = act()
            except BaseException as error:
                watch.refused.append(name)
                tell("refused", name=name, file=loader.path, stage=stage, error=one_line(error))
                raise
            finally:
                if before is False and gil():
                    tell("gil-back", name=watch.warned or name)
            return result

        def create_module(loader, spec):
            tell("loading", name=spec.name, file=loader.path, chain=watch.places.chain(sys._getframe(1)))
            module = step(loader, spec.name, "create", lambda: create(loader, spec))
            watch.modules[spec.name] = (module, loader.path)
            return module

        def exec_module(loader, module):
            name = module.__spec__.name
            step(loader, name, "exec", lambda: execute(loader, module))
            tell("loaded", name=name, file=loader.path)

        cls.create_module, cls.exec_module = create_module, exec_module

    def warnings(self):
        """CPython names the module that turns the GIL on in a warning; some packages warn of sub-interpreters."""
        import re
        import warnings

        if gil() is False:
            warnings.filterwarnings("always", message="The global interpreter lock", category=RuntimeWarning)
        show = warnings._showwarnmsg_impl

        def showwarnmsg(message):
            text = str(message.message)
            found = re.match(r"The global interpreter lock \(GIL\) has been enabled to load module '(.+?)'", text)
            if found:
                self.warned = found[1]
            elif re.search("sub-?interpreter", text, re.IGNORECASE):
                caller = self.places.chain(sys._getframe(1))
                by = [name for name, kind in caller if kind == "installed" and name != "warnings"]
                tell("warned", name=by[-1] if by else None, text=" ".join(text.split()))
            else:
                show(message)

        warnings._showwarnmsg_impl = showwarnmsg

    def thread_start(self):
        import threading

        start, watch = threading.Thread.start, self

        def started(thread):
            caller = watch.places.caller(sys._getframe(1), ("threading",))
            record = {"name": thread.name, "daemon": thread.daemon, "class": type(thread).__qualname__, **caller}
            try:
                start(thread)
            except BaseException as error:
                tell("thread", **record, error=one_line(error))
                raise
            watch.threads.append((thread, record))

        threading.Thread.start = started

    def atexit(self):
        import atexit

        register, watch = atexit.register, self

        def registered(function, *args, **named):
            caller = watch.places.caller(sys._getframe(1), ("weakref",))
            name = f"{getattr(function, '__module__', None) or '?'}.{getattr(function, '__qualname__', type(function).__qualname__)}"
            tell("atexit", function=name, **caller)
            return register(function, *args, **named)

        atexit.register = registered

    def signals(self):
        """Records handlers and installs none, as a worker with WSGIRestrictSignal On."""
        import _signal

        watch = self

        def signal(signalnum, handler):
            caller = watch.places.caller(sys._getframe(1), ("signal",))
            tell("signal", number=int(signalnum), **caller)
            return handler

        _signal.signal = signal

    def running(self):
        return [{**record, "alive": thread.is_alive()} for thread, record in self.threads]

    def stand_in(self, job):
        """Puts stand-ins for a worker's modules `gilkeeper` and `mod_wsgi` into sys.modules, without requests."""
        import types

        def subscribe_shutdown(callback):
            tell("subscribed", **self.places.caller(sys._getframe(1)))
            self.shutdown.append(callback)
            return callback

        def keep(callback):
            return callback

        def nothing(*args, **named):
            return {}

        group = "" if job["interpreter"] == "main" else "doctor"
        shared = {"process_group": "doctor", "application_group": group, "maximum_processes": 1, "threads_per_process": 1}
        shared |= {"subscribe_shutdown": subscribe_shutdown, "subscribe_events": subscribe_shutdown, "subscribe_signals": keep}
        shared |= {"request_metrics": nothing, "process_metrics": nothing, "active_requests": {}}
        shared |= {"gil_mode": job["mode"], "switch_interval": None, "version": (6, 0, 0)}
        for name, more in (("gilkeeper", {"__path__": [HERE]}), ("mod_wsgi", {})):
            module = sys.modules[name] = types.ModuleType(name)
            module.__dict__.update(shared | more)


# === The trial in one interpreter ===


def paths(job):
    """Sets sys.path as a worker does: the home first, then what `site.addsitedir` adds for each directory, then the rest."""
    import site

    if sys.path and sys.path[0] in (HERE, ""):
        del sys.path[0]
    before = list(sys.path)
    for path in job["python_path"]:
        site.addsitedir(path)
    sys.path[:] = [entry for entry in sys.path if entry not in before] + before
    if job["home"]:
        sys.path.insert(0, job["home"])


def application(job):
    import importlib
    import types

    script = job["script"]
    if job["module"]:
        module = importlib.import_module(script)
    else:
        with open(script, "rb") as file:
            code = compile(file.read(), script, "exec", dont_inherit=True)
        # The worker's name for it contains a digest; computing one here would load modules that the application may not load.
        module = sys.modules["_mod_wsgi_script"] = types.ModuleType("_mod_wsgi_script")
        module.__file__ = script
        exec(code, module.__dict__)
    wanted, callables = job["callable"] or "application", beside(CALLABLES)
    if "(" in wanted or "." in wanted:
        callables["find_callable"](module, wanted)
    if job["callable"] and not hasattr(module, wanted):
        raise AttributeError(f"'{script}' has no callable named '{wanted}'")
    if not callable(getattr(module, wanted, None)) and (job["callable"] or not callables["lone_app"](module)):
        tell("no-application", name=wanted, others=callables["usual_callables"](module).split())
    for name in job["also"]:
        importlib.import_module(name)
    beside(FUNCTIONS)["later"](job, Places().kind, tell, one_line)


def extension(job):
    """Loads the module of one file alone, without its package."""
    import importlib.util
    from importlib.machinery import ExtensionFileLoader

    spec = importlib.util.spec_from_file_location(job["name"], job["file"], loader=ExtensionFileLoader(job["name"], job["file"]))
    module = importlib.util.module_from_spec(spec)
    sys.modules[job["name"]] = module
    spec.loader.exec_module(module)


def try_each(names):
    """Imports one after the other; what fails does not keep the next one from being tried."""
    import importlib

    for name in names:
        tell("trying", name=name)
        try:
            importlib.import_module(name)
        except BaseException as error:
            tell("failed", name=name, error=one_line(error))


def environment(job):
    """Imports each installed package that has extension modules."""
    found = [one for one in beside()["packages"]() if one["name"] not in job["without"]]
    for values in found:
        tell("package", **values)
    try_each([one["name"] for one in found])


def beside(path=MODULES):
    """The names of a file beside this one. Not by an import, which the application could see."""
    namespace = {"__name__": "gilkeeper_beside_doctor", "__file__": path}
    with open(path, "rb") as file:
        exec(compile(file.read(), path, "exec"), namespace)
    return namespace


def describe(watch, job):
    """Reports file, distribution and declarations of each extension module, and those of its packages that were not loaded."""
    names = beside()
    imported = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
    for values in names["described"](watch.modules, watch.places.kind, gil()):
        tell("described", **values)
    if job["what"] == "application":
        for values in names["unloaded"]([file for file in imported if file and watch.places.kind(file) == "installed"]):
            tell("unloaded", **values)


def extensions():
    """Extension modules that are loaded in this interpreter."""
    from importlib.machinery import ExtensionFileLoader

    modules = list(sys.modules.items())
    return {name for name, one in modules if isinstance(getattr(getattr(one, "__spec__", None), "loader", None), ExtensionFileLoader)}


def trial(job, number):
    """Runs in the interpreter under trial. Returns the callbacks to call before its end."""
    import importlib
    import traceback

    tell("begin", number=number)
    watch = Watch()
    watch.stand_in(job)
    watch.begin()
    for name, module in watch.early:
        # A `.pth` file may have loaded it. Modules of Python's own library were loaded by this file.
        if watch.places.kind(module.__spec__.origin) != "standard":
            watch.modules[name] = (module, module.__spec__.origin)
    paths(job)
    sys.argv = ["mod_wsgi"]
    acts = {"application": application, "import": lambda job: importlib.import_module(job["name"]), "extension": extension}
    acts |= {"unloaded": lambda job: try_each(job["names"]), "environment": environment, "extensions": watch.each_extension}
    error, text = None, None
    try:
        acts[job["what"]](job)
    except BaseException as problem:
        error, text = one_line(problem), traceback.format_exc()
    present = [name for name in watch.modules if name in sys.modules]
    # How many names each holds, beside those that every module has.
    filled = {name: sum(not key.startswith("__") for key in getattr(sys.modules[name], "__dict__", ())) for name in present}
    tell("imported", error=error, traceback=text, present=present, filled=filled, threads=watch.running(), gil=gil())
    if job["describe"]:
        describe(watch, job)
    return watch.shutdown


def stop(callbacks):
    """Calls the shutdown callbacks, as a worker does before it ends an interpreter."""
    for callback in callbacks:
        try:
            callback("process_stopping", shutdown_reason="doctor")
        except BaseException as error:
            tell("note", text=f"a shutdown callback failed: {one_line(error)}")


def in_another(job):
    """Runs the trial in sub-interpreters of this process, one after the other."""
    import os

    try:
        import _interpreters as interpreters
    except ImportError:
        import _xxsubinterpreters as interpreters
    own = job["interpreter"] == "own"
    # Up to 3.12 an interpreter with other threads cannot be entered again: the last one runs its end in the same call.
    entered_once = sys.version_info < (3, 13)
    # Modules of one phase are initialised in the main interpreter and import there, what stays there: so it finds what a worker's does.
    paths(job)
    made, before = [], extensions()
    for number in range(1, job["interpreters"] + 1):
        made.append(interpreters.create(isolated=own) if entered_once else interpreters.create("isolated" if own else "legacy"))
        text = (
            f"namespace = {{'__name__': 'gilkeeper_doctor', '__file__': {SOURCE!r}}}\n"
            f"exec(compile(open({SOURCE!r}, 'rb').read(), {SOURCE!r}, 'exec'), namespace)\n"
            f"callbacks = namespace['trial']({job!r}, {number})\n"
        )
        if entered_once and job["end"] and number == job["interpreters"]:
            text += "namespace['tell']('ending')\nnamespace['stop'](callbacks)\nimport threading\nthreading._shutdown()\n"
        interpreters.run_string(made[-1], text)
        tell("in-main", present=sorted(extensions() - before))
    if job["end"]:
        if entered_once:
            interpreters.destroy(made[-1])
        else:
            tell("ending")
            for one in made:
                interpreters.run_string(one, "namespace['stop'](callbacks)")
                interpreters.destroy(one)
        tell("ended")
    os._exit(0)


def main():
    import faulthandler
    import json
    import os

    os.set_inheritable(REPORT, False)
    faulthandler.enable()
    job = json.loads(sys.argv[1])
    facts = {"executable": sys.executable, "gil": gil(), "inherits_context": bool(getattr(sys.flags, "thread_inherit_context", False))}
    tell("python", version=sys.version.split()[0].rstrip("+"), free_threaded="t" in sys.abiflags, **facts)
    if job["interpreter"] != "main":
        in_another(job)
    callbacks = trial(job, 1)
    if not job["end"]:
        os._exit(0)
    tell("ending")
    stop(callbacks)
    # The rest happens at the end of the process: atexit functions run after non-daemon threads are joined.


if __name__ == "__main__":
    main()
