#!/usr/bin/env bash
# Pyruvate 1.6.1 gives the application a chunked request body with the chunk sizes still in it.
#
# `wsgi.input` holds the bytes as they came over the wire, sizes and final chunk included, and CONTENT_LENGTH (an int, not
# a str) is their number. JSON or multipart sent by `curl -T -`, Git or a mobile client arrives spoiled with status 200.
#
# Seen with CPython 3.11.7:  b'5\r\nhello\r\n0\r\n\r\n', CONTENT_LENGTH 15 (int)
set -euo pipefail
. "$(dirname "$0")/shared/server.bash"

install pyruvate==1.6.1
cat >app.py <<'PY'
def application(environ, start_response):
    length = environ.get("CONTENT_LENGTH")
    seen = f"{environ['wsgi.input'].read()!r}, CONTENT_LENGTH {length} ({type(length).__name__})".encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(seen)))])
    return [seen]
PY
cat >ask.py <<'PY'
from client import ask

head = b"POST / HTTP/1.1\r\nHost: site.example\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
seen = ask(head + b"5\r\nhello\r\n0\r\n\r\n").partition(b"\r\n\r\n")[2].decode()
print(seen)
assert seen == f"{b'5' + bytes([13, 10]) + b'hello' + bytes([13, 10]) + b'0' + bytes([13, 10, 13, 10])!r}, CONTENT_LENGTH 15 (int)"
PY
observe venv/bin/python -c "import sys, pyruvate, app; pyruvate.serve(app.application, '127.0.0.1:' + sys.argv[1], 2)" "$port"
