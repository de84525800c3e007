"""Signal handlers of service scripts, and the refusal of handlers elsewhere."""


def heed_signals():
    """Makes SIGTERM and SIGINT end a service script by SystemExit."""
    import signal

    def end(number, frame):
        raise SystemExit

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)


def restrict_signal():
    """Makes signal.signal() a logged no-op, as the signals of this process belong to the server."""
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
