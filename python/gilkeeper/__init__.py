"""The interface of applications to the Gilkeeper worker they run in.

Outside a worker the values are None and the functions raise RuntimeError, so that a module that uses them can still be
imported by tests and tools.
"""

_VALUES = ("process_group", "application_group", "gil_mode", "switch_interval")
_FUNCTIONS = (
    "request_metrics",
    "process_metrics",
    "active_requests",
    "request_data",
    "subscribe_events",
    "subscribe_shutdown",
    "subscribe_signals",
)

__all__ = (*_VALUES, *_FUNCTIONS, "RequestFilter", "request_id")


def request_id():
    """Outside a worker there is no request."""
    return None


class RequestFilter:
    """A filter for `logging` that gives each record `request_id`."""

    def __init__(self, absent="-"):
        self.absent = absent

    def filter(self, record):
        if not hasattr(record, "request_id"):
            record.request_id = request_id() or self.absent
        return True


def __getattr__(name):
    if name == "__version__":
        from . import _native

        return _native.__version__
    if name not in __all__:
        raise AttributeError(f"module 'gilkeeper' has no attribute {name!r}")
    from . import _native

    try:
        return getattr(_native, name)
    except AttributeError:
        return None if name in _VALUES else _outside(name)


def _outside(name):
    def function(*args, **kwargs):
        raise RuntimeError(f"gilkeeper.{name}() works only inside a worker of a running Gilkeeper server")

    return function


def __dir__():
    return [*__all__, "__version__"]
