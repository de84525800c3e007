#!/usr/bin/env bash
# eventlet 0.41.3 tells the application that every request is HTTP/1.0, and makes up a Content-Type.
#
# SERVER_PROTOCOL is the version of the request (CGI, PEP 3333). eventlet.wsgi gives its own constant `HTTP/1.0`, so an
# application that streams without a length only to HTTP/1.1 clients never streams. A request without Content-Type
# arrives with CONTENT_TYPE `text/plain`, and QUERY_STRING is missing where the target has no `?`.
#
# Seen with CPython 3.11.7:  HTTP/1.1 in -> SERVER_PROTOCOL HTTP/1.0, CONTENT_TYPE text/plain, QUERY_STRING absent
set -euo pipefail
. "$(dirname "$0")/shared/server.bash"

install eventlet==0.41.3
cat >app.py <<'PY'
def application(environ, start_response):
    names = ("SERVER_PROTOCOL", "CONTENT_TYPE", "QUERY_STRING")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [", ".join(f"{name} {environ.get(name, 'absent')}" for name in names).encode()]
PY
cat >ask.py <<'PY'
from client import ask

seen = ask(b"GET / HTTP/1.1\r\nHost: site.example\r\nConnection: close\r\n\r\n").partition(b"\r\n\r\n")[2].decode()
print("HTTP/1.1 in ->", seen)
assert seen == "SERVER_PROTOCOL HTTP/1.0, CONTENT_TYPE text/plain, QUERY_STRING absent"
PY
observe venv/bin/python -W ignore -c "import sys, eventlet.wsgi, app; eventlet.wsgi.server(eventlet.listen(('127.0.0.1', int(sys.argv[1]))), app.application, log_output=False)" "$port"
