"""Says its version, and its process."""

import os

VERSION = "one"


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{VERSION}|{os.getpid()}".encode()]
