"""Writes a line in each of the ways that an application has."""

import os
import sys
import threading


def application(environ, start_response):
    word = environ["QUERY_STRING"]
    print(f"errors {word}", file=environ["wsgi.errors"])
    print(f"stderr {word}", file=sys.stderr)
    thread = threading.Thread(target=lambda: print(f"thread {word}", file=sys.stderr))
    thread.start()
    thread.join()
    os.write(2, f"descriptor {word}\n".encode())
    if environ["PATH_INFO"] == "/raises":
        raise RuntimeError(f"raised {word}")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"said"]
