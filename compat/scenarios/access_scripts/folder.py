"""An access script that says what it is asked about."""


def allow_access(environ, host):
    print("asked about", environ["REQUEST_URI"], file=environ["wsgi.errors"])
    return True
