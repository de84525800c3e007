"""Threads of this interpreter: names, stacks, and the refusal of daemon threads."""


def living_threads(daemons):
    """Names of the running threads of the application: daemon threads, or the others."""
    return [
        thread.name
        for thread in threading.enumerate()
        if thread.daemon == daemons
        and thread.is_alive()
        and thread is not threading.main_thread()
        and not isinstance(thread, threading._DummyThread)
    ]


def thread_names():
    """(kernel id, name) of the living threads that `threading` knows."""
    return [
        (thread.native_id, getattr(thread, "_gilkeeper_name", None) or kind_of_thread(thread))
        for thread in threading.enumerate()
        if thread.native_id and not isinstance(thread, threading._DummyThread)
    ]


def kind_of_thread(thread):
    """The name of a thread without its number, as in `Thread-7 (work)` and `pool_3`: threads of one kind are counted together."""
    # Without `re`: an application that does not use it would have half a megabyte more.
    name, work, of = str(thread.name).partition(" (")
    for _ in range(2):
        kind = name.rstrip("0123456789")
        if kind == name or not kind.endswith(("-", "_")):
            break
        name = kind[:-1]
        if kind.endswith("-"):
            break
    return name + work + of or "Thread"


def watch_threads():
    """Tells the server of each thread as it begins: its name, and the line of the application that started it."""
    import functools

    kind = threading.Thread
    if not hasattr(kind, "_set_native_id"):
        return
    start, set_native_id = kind.start, kind._set_native_id
    between = ("threading", "concurrent.futures")

    @functools.wraps(start)
    def named_start(self):
        if self._initialized:
            frame = sys._getframe(1)
            while frame.f_back is not None and str(frame.f_globals.get("__name__")).startswith(between):
                frame = frame.f_back
            file = "/".join(frame.f_code.co_filename.split("/")[-2:])
            self._gilkeeper_name = f"{kind_of_thread(self)}, started at {file}:{frame.f_lineno}"
        return start(self)

    @functools.wraps(set_native_id)
    def told_native_id(self):
        set_native_id(self)
        name = getattr(self, "_gilkeeper_name", None)
        if name and self.native_id:
            host.thread_started(self.native_id, name)

    kind.start, kind._set_native_id = named_start, told_native_id


def frames_of(threads, several_gils):
    """The innermost frame of each thread, by ident. `threads`: (ident, number of the thread state) of threads in this interpreter."""
    # By thread state: sys._current_frames() has one frame for a thread that is in several interpreters, and not always the innermost;
    # where they have GILs of their own, it would read frames without holding them.
    by_state = dict(host.frames())
    frames = {ident: by_state[state] for ident, state in threads if state in by_state}
    if not by_state and not several_gils:
        # Without a GIL the states cannot be walked.
        frames = sys._current_frames()
    return {ident: frames[ident] for ident, _ in threads if ident in frames}


def stacks(threads, several_gils):
    """Python stacks as (ident, text); one that imports says so first. `threads` as for `frames_of`."""
    found = []
    for ident, frame in frames_of(threads, several_gils).items():
        under_way = import_under_way(frame)
        found.append((ident, (f"  ({under_way})\n" if under_way else "") + "".join(written_stack(frame))))
    return found


def imports_under_way(threads, several_gils):
    """What each of these threads imports, or which import it waits for, as (ident, text)."""
    found = ((ident, import_under_way(frame)) for ident, frame in frames_of(threads, several_gils).items())
    return [(ident, text) for ident, text in found if text]


def written_stack(frame):
    """`traceback.format_stack` without the frame that each thread of the server has at the bottom."""
    import traceback

    stack = traceback.extract_stack(frame)
    if stack and (stack[0].name, stack[0].filename) == ("gilkeeper_thread", "<gilkeeper>"):
        del stack[0]
    return stack.format()


def explain_daemon_threads():
    """Explains the refusal of a daemon thread in an interpreter with its own GIL, and what to do instead."""
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
