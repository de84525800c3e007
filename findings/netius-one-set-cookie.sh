#!/usr/bin/env bash
# netius 1.64.0 sends one Set-Cookie of several, and joins repeated request headers with a semicolon.
#
# PEP 3333 hands headers over as a list because Set-Cookie repeats. netius makes a dictionary of it: of a session and a CSRF
# cookie the browser gets the later one. In the other direction `Accept: text/html`, `Accept: image/png` become
# `text/html;image/png`, one type with a parameter, where RFC 9110 §5.3 has a comma.
#
# Seen with CPython 3.11.7:  sent session, csrf -> Set-Cookie: csrf=2    HTTP_ACCEPT text/html;image/png
set -euo pipefail
. "$(dirname "$0")/shared/server.bash"

install netius==1.64.0
cat >app.py <<'PY'
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Set-Cookie", "session=1"), ("Set-Cookie", "csrf=2")])
    return [environ["HTTP_ACCEPT"].encode()]
PY
cat >ask.py <<'PY'
from client import ask

answer = ask(b"GET / HTTP/1.1\r\nHost: site.example\r\nConnection: close\r\nAccept: text/html\r\nAccept: image/png\r\n\r\n")
head, _, body = answer.partition(b"\r\n\r\n")
cookies = [line.decode() for line in head.split(b"\r\n") if line.lower().startswith(b"set-cookie")]
print("sent session, csrf ->", *cookies, "   HTTP_ACCEPT", body.decode())
assert cookies == ["Set-Cookie: csrf=2"]
assert body == b"text/html;image/png"
PY
observe venv/bin/python -c "import sys, netius.servers, app; netius.servers.WSGIServer(app=app.application).serve(host='127.0.0.1', port=int(sys.argv[1]))" "$port"
