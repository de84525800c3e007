"""The end of this interpreter."""

ending = threading.Lock()


def end_threads():
    """Joins non-daemon threads, as CPython does at the end of an interpreter."""
    threading._shutdown()
    # CPython calls it again, and some versions do not support a second call.
    threading._shutdown = lambda: None


def end_functions():
    """Calls functions registered with `atexit`, each once, and flushes the standard streams."""
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

    # Collections at the end of the interpreter delay no request, so they are not reported.
    while collection_watchers:
        watch = collection_watchers.pop()
        if watch in gc.callbacks:
            gc.callbacks.remove(watch)
    flush_streams()


def flush_streams():
    """Flushes the standard streams, for the end of the process."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, Restricted):
            # CPython flushes it at the end and would report the OSError.
            setattr(sys, name, None)
            continue
        try:
            stream.flush()
        except Exception:
            continue


def held_up():
    """Threads that the end of this interpreter waits for, as part of a sentence; empty if there are none."""
    import atexit

    names = ", ".join(repr(name) for name in living_threads(False))
    if not names:
        return ""
    count = atexit._ncallbacks()
    functions = f"; {count} functions registered with atexit wait behind them" if count else ""
    return f"{names}{functions}"
