#!/usr/bin/env bash
# a2wsgi 1.10.10 sends an error page with the status of the page that failed.
#
# The error handler of PEP 3333: start_response("200 OK"), something fails before a byte was written, then
# start_response("500 …", headers, exc_info) replaces the head. a2wsgi sends the first head at once (PEP 3333 forbids it)
# and ignores the second without raising: the client reads the error page's text under 200 with the first page's headers.
# Monitoring that counts status codes sees nothing.
#
# Seen with CPython 3.11.7, uvicorn 0.54.0:  HTTP/1.1 200 OK, body "sorry"
set -euo pipefail
. "$(dirname "$0")/shared/server.bash"

install a2wsgi==1.10.10 uvicorn==0.54.0
cat >app.py <<'PY'
import sys

def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    try:
        raise LookupError("the page cannot be made")
    except LookupError:
        start_response("500 Internal Server Error", [("Content-Type", "text/plain")], sys.exc_info())
    return [b"sorry"]
PY
cat >ask.py <<'PY'
from client import ask

answer = ask(b"GET / HTTP/1.0\r\nHost: site.example\r\n\r\n")
head, _, body = answer.partition(b"\r\n\r\n")
print(head.split(b"\r\n")[0].decode() + ",", "body", body)
assert head.startswith(b"HTTP/1.1 200 ") and body == b"sorry"
PY
observe venv/bin/python -c "import sys, uvicorn, a2wsgi, app; uvicorn.run(a2wsgi.WSGIMiddleware(app.application), host='127.0.0.1', port=int(sys.argv[1]), log_level='critical')" "$port"
