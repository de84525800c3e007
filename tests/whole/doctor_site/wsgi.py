"""Imports what its requirements name, each where it is installed; the first ones refuse in most interpreters."""

import importlib.util

for name in ("argon2", "coverage.tracer", "websockets", "numpy", "psycopg", "yaml", "orjson", "lxml.etree"):
    if importlib.util.find_spec(name.partition(".")[0]):
        importlib.import_module(name)


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"doctor"]
