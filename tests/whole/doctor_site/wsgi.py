"""Imports what its requirements name, each where it is installed; the first one refuses in most interpreters."""

import importlib.util

for name in ("numpy", "psycopg", "yaml", "orjson", "lxml.etree"):
    if importlib.util.find_spec(name.partition(".")[0]):
        importlib.import_module(name)


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"doctor"]
