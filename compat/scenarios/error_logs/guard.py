"""An access script that writes a line."""


def allow_access(environ, host):
    print(f"guard {environ['QUERY_STRING']}", file=environ["wsgi.errors"])
    return True
