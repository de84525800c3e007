"""Fails until there is a file beside the folder of scripts."""

import os

if not os.path.exists(os.path.join(os.path.dirname(__file__), "ready")):
    raise RuntimeError("not ready yet")


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"ready"]
