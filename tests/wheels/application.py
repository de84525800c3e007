"""Says where it runs; /burn uses a core for a while, /figures tells how the waits for the GIL were measured."""

import json
import platform
import sys
import time

import gilkeeper
import mod_wsgi

mod_wsgi.start_recording_metrics()


def application(environ, start_response):
    seen = {
        "python": "{}.{}".format(*sys.version_info[:2]) + sys.abiflags,
        "machine": platform.machine(),
        "gil_mode": gilkeeper.gil_mode,
        "application_group": gilkeeper.application_group,
    }
    if environ["PATH_INFO"] == "/burn":
        end = time.thread_time() + 0.5
        while time.thread_time() < end:
            sum(range(200))
    if environ["PATH_INFO"] == "/figures":
        seen["figures"] = gilkeeper.request_metrics()
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(seen).encode()]
