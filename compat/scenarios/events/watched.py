"""Subscribes to everything, and answers with the events that it received."""

import json
import sys
import threading
import time
import traceback

import mod_wsgi

TOLD = []
KEPT = {}
# Read at import: later, mod_wsgi's main interpreter shows the name of another one.
GROUP = mod_wsgi.application_group


def plain(value):
    """What JSON can carry of an event's value."""
    if isinstance(value, dict):
        return {"dict": sorted(map(str, value))}
    if isinstance(value, tuple) and len(value) == 3:
        return {"exc_info": getattr(value[0], "__name__", None)}
    if callable(value):
        return {"callable": getattr(value, "__name__", type(value).__name__)}
    return value


@mod_wsgi.subscribe_events
def told(name, **event):
    data = event.get("request_data")
    if data is not None:
        data.setdefault("seen", []).append(name)
    path = KEPT.setdefault(event.get("request_id"), event.get("request_environ", {}).get("PATH_INFO"))
    entry = {"event": name, "path": path, "values": {key: plain(value) for key, value in event.items()}}
    entry["data"] = list((data or {}).get("seen", []))
    entry["same_data"] = data is not None and mod_wsgi.request_data() is data
    entry["active"] = event.get("request_id") in mod_wsgi.active_requests
    TOLD.append(entry)
    if name == "process_stopping":
        log(f"told of the end: {event['shutdown_reason']}")
    if name == "request_started" and path == "/wrapped":
        inner = event["application_object"]

        def wrapper(environ, start_response):
            environ["test.wrapped"] = "yes"
            return inner(environ, start_response)

        return {"application_object": wrapper}
    if path == "/fails":
        raise LookupError(f"a subscriber fails at {name}")
    if path == "/exits":
        raise SystemExit(3)
    return None


@mod_wsgi.subscribe_events
def second(name, **event):
    TOLD[-1]["second"] = name


@mod_wsgi.subscribe_shutdown
def ending(name, **event):
    log(f"at the end: {name} {sorted(event.items())} in '{GROUP}'")


def log(text):
    print(text, file=sys.stderr, flush=True)


def outside():
    """What request_data() says in a thread that serves no request."""
    seen = []

    def ask():
        try:
            seen.append(repr(mod_wsgi.request_data()))
        except BaseException as error:
            seen.append(type(error).__name__)

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    return seen[0]


class Body:
    def __init__(self, fail):
        self.fail = fail

    def __iter__(self):
        yield b"one"
        if self.fail:
            raise OverflowError("in the middle")
        yield b"three"

    def close(self):
        TOLD.append({"event": "close()", "path": None, "values": {}})


def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/told":
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(TOLD, default=repr).encode()]
    if path == "/data":
        start_response("200 OK", [("Content-Type", "application/json")])
        data = mod_wsgi.request_data()
        data["mine"] = 1
        answer = {
            "data": sorted(data),
            "active": environ["mod_wsgi.request_id"] in mod_wsgi.active_requests,
            "same": mod_wsgi.active_requests.get(environ["mod_wsgi.request_id"]) is data,
            "outside": outside(),
            "callbacks": [len(mod_wsgi.event_callbacks), len(mod_wsgi.shutdown_callbacks), len(mod_wsgi.signal_callbacks)],
        }
        return [json.dumps(answer).encode()]
    if path == "/raises":
        raise OverflowError("at once")
    if path == "/none":
        return []
    if path == "/never":
        return [b"without a head"]
    if path == "/bad-status":
        try:
            start_response("none", [])
        except Exception:
            traceback.print_exc()
            raise
    if path == "/spin":
        # Several clock ticks of user time for this thread.
        end = time.thread_time() + 0.05
        while time.thread_time() < end:
            sum(range(1000))
    body = environ["wsgi.input"].read(3) + environ["wsgi.input"].read()
    start_response("201 Made", [("X-One", "1"), ("X-Wrapped", environ.get("test.wrapped", "no"))])
    if path == "/late":
        return Body(True)
    if path == "/iterated":
        return Body(False)
    return [b"got ", str(len(body)).encode()]
