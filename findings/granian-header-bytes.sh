#!/usr/bin/env bash
# Granian 2.8.9 hands a request header with one byte above 127 to the application as an empty string.
#
# RFC 9110 allows such bytes (obs-text), and PEP 3333 says how they arrive: each byte one character. Old proxies and
# intranet single sign-on modules send names this way. Granian keeps the key and empties the value, so that the
# application sees "sent, and empty". In the other direction the application's "é" (one byte by PEP 3333) goes out as two.
#
# Seen with CPython 3.11.7:  in: HTTP_X_NAME == ''    out: X-Name: caf\xc3\xa9
set -euo pipefail
. "$(dirname "$0")/shared/server.bash"

install granian==2.8.9
cat >app.py <<'PY'
def application(environ, start_response):
    start_response("200 OK", [("X-Name", "caf\xe9"), ("Content-Type", "text/plain")])
    return [repr(environ.get("HTTP_X_NAME")).encode()]
PY
cat >ask.py <<'PY'
from client import ask

answer = ask(b"GET / HTTP/1.1\r\nHost: site.example\r\nConnection: close\r\nX-Name: caf\xe9\r\n\r\n")
head, _, body = answer.partition(b"\r\n\r\n")
sent = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"x-name"))
print("in: HTTP_X_NAME ==", body.decode())
print("out:", sent)
assert body == b"''"
assert sent.lower() == b"x-name: caf\xc3\xa9"
PY
observe venv/bin/granian --interface wsgi --host 127.0.0.1 --port "$port" app:application
