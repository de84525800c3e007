#!/usr/bin/env bash
# uWSGI 2.0.31 loses the body of an error page: its start_response raises when it is given exc_info.
#
# PEP 3333: start_response(status, headers, exc_info) before anything was sent replaces the head, returns write() and
# raises nothing. uWSGI puts the exception back, returns a value too, and CPython makes that a SystemError in the
# application: the error handler itself fails, its head goes out, and no byte of the body follows. A promised length
# stays unkept.
#
# Seen with CPython 3.11.7:  500, Content-Length 10, body b''; SystemError in the log
set -euo pipefail
. "$(dirname "$0")/shared/server.bash"

install uWSGI==2.0.31
cat >app.py <<'PY'
import sys


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/html")])
    try:
        raise LookupError("the page cannot be made")
    except LookupError:
        start_response("500 Internal Server Error", [("Content-Type", "text/plain"), ("Content-Length", "10")], sys.exc_info())
    return [b"sorry page"]
PY
cat >ask.py <<'PY'
from client import ask

head, _, body = ask(b"GET / HTTP/1.1\r\nHost: site.example\r\nConnection: close\r\n\r\n").partition(b"\r\n\r\n")
length = next(line for line in head.decode().split("\r\n") if line.startswith("Content-Length")).replace(":", "")
print(f"{head.split()[1].decode()}, {length}, body {body!r}")
assert head.split()[1] == b"500" and length == "Content-Length 10" and body == b""
PY
# Without --die-on-term uWSGI takes SIGTERM for "reload" and never ends.
observe venv/bin/uwsgi --http-socket "127.0.0.1:$port" --wsgi-file app.py --die-on-term
grep -q "^SystemError: .*returned a result with an exception set" server.log
echo "SystemError in the log"
