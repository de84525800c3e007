"""Chooses by the query: `process_group=h&callable_object=other`."""

from urllib.parse import parse_qsl


def chosen(environ, name):
    environ["wsgi.errors"].write(f"asked for {name} in {environ['mod_wsgi.application_group']!r} with {environ.get('CONFIGURED')}\n")
    value = dict(parse_qsl(environ["QUERY_STRING"])).get(name)
    return {None: None, "bytes": b"other", "number": 1}.get(value, value)


def process_group(environ):
    return chosen(environ, "process_group")


def application_group(environ):
    return chosen(environ, "application_group")


def callable_object(environ):
    return chosen(environ, "callable_object")
