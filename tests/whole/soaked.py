"""The application of the soak: every kind of response, background threads that end as they should, and what is left over.

`/balance` collects garbage first and tells what an interpreter holds: objects, blocks, the references to the types of
which each request makes instances, and in builds with debug assertions what the server's own library holds. In an interpreter at rest none of them grows with the number of requests.
"""

import atexit
import gc
import json
import os
import sys
import threading
import time

import gilkeeper
import mod_wsgi

finished = 0
ended = threading.Event()
notes = {}


def work():
    """A thread that is no daemon, and that the end of the interpreter has to wait for."""
    while not ended.wait(0.05):
        notes["ticks"] = notes.get("ticks", 0) + 1


worker = threading.Thread(target=work, name="background")
worker.start()


@mod_wsgi.subscribe_shutdown
def stop(name, **event):
    ended.set()


def last():
    """Runs when the thread is gone; a line in the log shows that it ran."""
    state = "alive" if worker.is_alive() else "joined"
    print(f"soaked: atexit in '{mod_wsgi.application_group}', background thread {state}", file=sys.stderr, flush=True)


atexit.register(last)


if os.environ.get("SOAK_EVENTS"):

    @mod_wsgi.subscribe_events
    def event(name, **values):
        values.get("request_data", {}).setdefault("events", []).append(name)


class Blocks:
    """An iterable with a close() that counts."""

    def __init__(self, blocks):
        self.blocks = iter(blocks)

    def __iter__(self):
        return self

    def __next__(self):
        return next(self.blocks)

    def close(self):
        global finished
        finished += 1


def balance(environ, start_response):
    types = {type(environ["wsgi.input"]).__name__: type(environ["wsgi.input"]), type(start_response).__name__: type(start_response)}
    for _ in range(3):
        gc.collect()
    held = gilkeeper._references()
    return {
        "pid": os.getpid(),
        "group": mod_wsgi.application_group,
        "gil_mode": gilkeeper.gil_mode,
        **dict(zip(("our objects", "our kept references", "our instances"), held or (), strict=False)),
        "objects": len(gc.get_objects()),
        "blocks": sys.getallocatedblocks(),
        "threads": threading.active_count(),
        "active": len(mod_wsgi.active_requests),
        **{f"references to {name}": sys.getrefcount(kind) for name, kind in types.items()},
    }


def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/balance":
        answer = json.dumps(balance(environ, start_response)).encode()
        start_response("200 OK", [("Content-Type", "application/json")])
        return [answer]
    if path == "/echo":
        body = environ["wsgi.input"].read()
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [body]
    if path == "/blocks":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return Blocks([b"one", b"two", b"three"])
    if path == "/write":
        write = start_response("200 OK", [("Content-Type", "text/plain")])
        write(b"written ")
        return [b"and returned"]
    if path == "/pause":
        # Other threads take over: without it a few threads would serve everything.
        time.sleep(0.002)
    if path == "/cycle":
        # Garbage that only the collector finds, with a reference to the request in it.
        one = {"environ": environ}
        one["self"] = one
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-Group", mod_wsgi.application_group)])
    return [b"Hello"]
