#!/usr/bin/env bash
# bjoern 3.2.2 joins a repeated request header without a separator: two cookies become one with a wrong value.
#
# CGI and RFC 9110 §5.3 join the values of a repeated field with a comma. bjoern appends the bytes: `Accept: text/html`,
# `Accept: image/png` is one type that does not exist, and a cookie's value grows by the next cookie. HTTP/2 front ends
# split Cookie into several fields, and some pass them on like that over HTTP/1.1.
# bjoern is built from source and needs libev's headers (libev-dev).
#
# Seen with CPython 3.11.7:  HTTP_COOKIE session=1theme=dark    HTTP_ACCEPT text/htmlimage/png
set -euo pipefail
. "$(dirname "$0")/shared/server.bash"

install bjoern==3.2.2
cat >app.py <<'PY'
def application(environ, start_response):
    seen = f"HTTP_COOKIE {environ['HTTP_COOKIE']}    HTTP_ACCEPT {environ['HTTP_ACCEPT']}".encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(seen)))])
    return [seen]
PY
cat >ask.py <<'PY'
from client import ask

head = b"GET / HTTP/1.1\r\nHost: site.example\r\nConnection: close\r\n"
repeated = b"Cookie: session=1\r\nCookie: theme=dark\r\nAccept: text/html\r\nAccept: image/png\r\n\r\n"
seen = ask(head + repeated).partition(b"\r\n\r\n")[2].decode()
print(seen)
assert seen == "HTTP_COOKIE session=1theme=dark    HTTP_ACCEPT text/htmlimage/png"
PY
observe venv/bin/python -c "import sys, bjoern, app; bjoern.run(app.application, '127.0.0.1', int(sys.argv[1]))" "$port"
