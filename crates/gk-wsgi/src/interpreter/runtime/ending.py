"""The end of this interpreter."""

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


def held_up():
    """What the end of this interpreter waits for, as a sentence's part; empty when it waits for no thread."""
    import atexit

    names = ", ".join(repr(name) for name in living_threads(False))
    if not names:
        return ""
    count = atexit._ncallbacks()
    functions = f"; {count} functions registered with atexit wait behind them" if count else ""
    return f"{names}{functions}"
