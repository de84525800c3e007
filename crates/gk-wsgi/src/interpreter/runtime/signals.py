"""Signal handlers: of a service script, and of an application that may have none."""


def heed_signals():
    """A service script ends by SystemExit when its process is told to end."""
    import signal

    def told(number, frame):
        raise SystemExit

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, told)


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
