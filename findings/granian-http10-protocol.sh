#!/usr/bin/env bash
# Granian 2.8.9 calls an HTTP/1.0 request's SERVER_PROTOCOL `HTTP/1`.
#
# The CGI specification's form is `HTTP` `/` digits `.` digits, and code that compares versions splits at the dot. A
# load balancer's health check or ApacheBench speaks HTTP/1.0, so the odd form is met only there: code that unpacks major
# and minor number from it fails with a ValueError for the health check alone.
#
# Seen with CPython 3.11.7:  1.1 -> HTTP/1.1    1.0 -> HTTP/1
set -euo pipefail
. "$(dirname "$0")/shared/server.bash"

install granian==2.8.9
cat >app.py <<'PY'
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["SERVER_PROTOCOL"].encode()]
PY
cat >ask.py <<'PY'
from client import ask

seen = {}
for version in (b"1.1", b"1.0"):
    answer = ask(b"GET / HTTP/" + version + b"\r\nHost: site.example\r\nConnection: close\r\n\r\n")
    seen[version] = answer.partition(b"\r\n\r\n")[2].strip()
    print(version.decode(), "->", seen[version].decode())
assert seen == {b"1.1": b"HTTP/1.1", b"1.0": b"HTTP/1"}
PY
observe venv/bin/granian --interface wsgi --host 127.0.0.1 --port "$port" app:application
