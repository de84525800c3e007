#!/usr/bin/env bash
# cheroot 11.1.2 keeps the last of two Cookie fields and forgets the other.
#
# Repeated request headers are one list (RFC 9110 §5.3), and cheroot joins Accept and its like with a comma. Cookie is not
# among the names it knows as lists, so the second field overwrites the first. A proxy that speaks HTTP/2 to browsers gets
# cookies in several fields (RFC 9113 §8.2.3) and not all of them join the fields again: the session is gone, but only for
# browsers that split, and only behind that proxy.
#
# Seen with CPython 3.11.7:  HTTP_COOKIE theme=dark    HTTP_ACCEPT text/html, image/png
set -euo pipefail
. "$(dirname "$0")/shared/server.bash"

install cheroot==11.1.2
cat >app.py <<'PY'
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"HTTP_COOKIE {environ['HTTP_COOKIE']}    HTTP_ACCEPT {environ['HTTP_ACCEPT']}".encode()]
PY
cat >ask.py <<'PY'
from client import ask

head = b"GET / HTTP/1.0\r\nHost: site.example\r\n"
repeated = b"Cookie: session=1\r\nCookie: theme=dark\r\nAccept: text/html\r\nAccept: image/png\r\n\r\n"
seen = ask(head + repeated).partition(b"\r\n\r\n")[2].decode()
print(seen)
assert seen == "HTTP_COOKIE theme=dark    HTTP_ACCEPT text/html, image/png"
PY
observe venv/bin/python -c "import sys, cheroot.wsgi, app; cheroot.wsgi.Server(('127.0.0.1', int(sys.argv[1])), app.application).start()" "$port"
