"""Waits, collects garbage, and says what the server tells it of its requests."""

import gc
import time

import mod_wsgi

mod_wsgi.start_recording_metrics()


def application(environ, start_response):
    path = environ["PATH_INFO"]
    body = b"done"
    if path == "/slow":
        time.sleep(0.6)
    elif path == "/collect":
        gc.collect()
    elif path == "/metrics":
        body = str(mod_wsgi.request_metrics() is not None).encode()
    elif path == "/echo":
        body = environ["wsgi.input"].read()
    status = "404 Not Found" if path == "/missing" else "200 OK"
    start_response(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
