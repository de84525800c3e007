#!/usr/bin/env bash
# a2wsgi 1.10.10: readline(size) of wsgi.input returns b'' when the line is longer than size, which means end of input.
#
# PEP 3333 requires the optional argument, and every reader of lines takes b"" for the end. A line longer than the bound
# that a careful parser sets (multipart boundaries, JSON lines) therefore ends the upload silently: no error, a short
# body. The bytes are still there, and the next readline() without a bound gives them.
#
# Seen with CPython 3.11.7, uvicorn 0.54.0:  readline(4) -> b''    then readline() -> b'abcdefgh\n'
set -euo pipefail
. "$(dirname "$0")/shared/server.bash"

install a2wsgi==1.10.10 uvicorn==0.54.0
cat >app.py <<'PY'
def application(environ, start_response):
    stream = environ["wsgi.input"]
    seen = repr([stream.readline(4), stream.readline()]).encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(seen)))])
    return [seen]
PY
cat >ask.py <<'PY'
from client import ask

body = b"abcdefgh\nij\n"
head = b"POST / HTTP/1.1\r\nHost: site.example\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
seen = ask(head + body).partition(b"\r\n\r\n")[2].decode()
print("readline(4), then readline():", seen)
assert seen == repr([b"", b"abcdefgh\n"])
PY
observe venv/bin/python -c "import sys, uvicorn, a2wsgi, app; uvicorn.run(a2wsgi.WSGIMiddleware(app.application), host='127.0.0.1', port=int(sys.argv[1]), log_level='critical')" "$port"
