#!/usr/bin/env bash
# gunicorn 27.0.1 sends an error page with the headers of both pages, two different Content-Length among them.
#
# PEP 3333's error handler replaces status and headers by calling start_response again with exc_info before anything was
# sent. gunicorn replaces the status and appends the headers. With a length in each page the client gets two lengths,
# which RFC 9112 §6.3 calls an error it cannot recover from; clients take one or the other, and the page is cut or not.
#
# Seen with CPython 3.11.7:  500, Content-Type text/html, Content-Length 5, Content-Type text/plain, Content-Length 10
#                            http.client takes the first length: b'sorry' of b'sorry page'
set -euo pipefail
. "$(dirname "$0")/shared/server.bash"

install gunicorn==27.0.1
cat >app.py <<'PY'
import sys


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/html"), ("Content-Length", "5")])
    try:
        raise LookupError("the page cannot be made")
    except LookupError:
        start_response("500 Internal Server Error", [("Content-Type", "text/plain"), ("Content-Length", "10")], sys.exc_info())
    return [b"sorry page"]
PY
cat >ask.py <<'PY'
import http.client
import sys

from client import ask

head = ask(b"GET / HTTP/1.1\r\nHost: site.example\r\nConnection: close\r\n\r\n").partition(b"\r\n\r\n")[0].decode()
lines = [line.replace(":", "") for line in head.split("\r\n") if line.startswith("Content-")]
print(head.split()[1] + ",", ", ".join(lines))
assert " 500 " in head
assert lines == ["Content-Type text/html", "Content-Length 5", "Content-Type text/plain", "Content-Length 10"]
connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]))
connection.request("GET", "/")
body = connection.getresponse().read()
print("http.client:", body)
assert body == b"sorry"
PY
observe venv/bin/gunicorn --bind "127.0.0.1:$port" app:application
