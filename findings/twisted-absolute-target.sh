#!/usr/bin/env bash
# Twisted 26.10.0's WSGI loses the first letter of an absolute request target and makes it a path.
#
# `GET http://site.example/page HTTP/1.1` is valid to any server (RFC 9112 §3.2.2; proxies and some clients send it), and
# its path is /page. twisted.web.wsgi gives PATH_INFO `/ttp://site.example/page`: everything is 404 to an application with
# routes, and a catch-all route stores nonsense.
#
# Seen with CPython 3.11.7:  /ttp://site.example/page
set -euo pipefail
. "$(dirname "$0")/shared/server.bash"

install twisted==26.10.0
cat >app.py <<'PY'
def application(environ, start_response):
    seen = environ["PATH_INFO"].encode("latin-1")
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(seen)))])
    return [seen]
PY
cat >ask.py <<'PY'
from client import ask

seen = ask(b"GET http://site.example/page HTTP/1.1\r\nHost: site.example\r\nConnection: close\r\n\r\n").partition(b"\r\n\r\n")[2].decode()
print(seen)
assert seen == "/ttp://site.example/page"
PY
observe env PYTHONPATH=. venv/bin/python -m twisted web --listen "tcp:$port:interface=127.0.0.1" --wsgi app.application
