"""Answers with its GIL mode, uses a core for a while, imports a module by name."""

import importlib
import json
import os
import sys
import time
from urllib.parse import parse_qs

import gilkeeper


def burn(seconds):
    """So many seconds of this thread's CPU time. Gives the seconds in which it was neither on a core nor waiting for one."""
    with open("/proc/thread-self/schedstat") as file:
        begun, queued = time.monotonic(), int(file.read().split()[1])
    cpu = time.thread_time()
    while time.thread_time() < cpu + seconds:
        sum(range(200))
    with open("/proc/thread-self/schedstat") as file:
        queued = int(file.read().split()[1]) - queued
    return time.monotonic() - begun - (time.thread_time() - cpu) - queued / 1e9


def application(environ, start_response):
    query = {name: values[0] for name, values in parse_qs(environ["QUERY_STRING"]).items()}
    waited = burn(float(query["burn"])) if "burn" in query else 0.0
    if "import" in query:
        importlib.import_module(query["import"])
    if "interval" in query:
        sys.setswitchinterval(float(query["interval"]))
    seen = {
        "gil_mode": gilkeeper.gil_mode,
        "switch_interval": gilkeeper.switch_interval,
        "process_group": gilkeeper.process_group,
        "application_group": gilkeeper.application_group,
        "environ": [environ["mod_wsgi.process_group"], environ["mod_wsgi.application_group"]],
        "python": "{}.{}".format(*sys.version_info[:2]) + ("t" if "t" in sys.abiflags else ""),
        "pid": os.getpid(),
        "waited": waited,
        # Another number in each interpreter.
        "interpreter": id(sys.modules[__name__]),
    }
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(seen).encode()]
