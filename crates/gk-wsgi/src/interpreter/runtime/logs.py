"""The id of the request for the application's own logging."""

from _contextvars import ContextVar

# Set for each request that has an id. Threads that run in a copy of its context have it, too.
current_request = ContextVar("gilkeeper.request_id", default=None)
set_request_id = current_request.set


def request_id():
    """The id of the request that this code serves, else None."""
    return current_request.get() or host.request_id()


class RequestFilter:
    """A filter for `logging` that gives each record `request_id`."""

    def __init__(self, absent="-"):
        self.absent = absent

    def filter(self, record):
        if not hasattr(record, "request_id"):
            record.request_id = request_id() or self.absent
        return True


def configure_logging(dictionary):
    """Takes the dictionary of the configuration; from then on every record has `request_id`."""
    import json
    import logging.config

    make, complete = logging.getLogRecordFactory(), RequestFilter().filter

    def with_request(*args, **kwargs):
        record = make(*args, **kwargs)
        complete(record)
        return record

    logging.setLogRecordFactory(with_request)
    logging.config.dictConfig(json.loads(dictionary))
