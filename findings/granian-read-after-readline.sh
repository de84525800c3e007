#!/usr/bin/env bash
# Granian 2.8.9: read() after one readline() of wsgi.input gives b'', and the rest of the body is gone.
#
# PEP 3333 makes wsgi.input a file: a format that puts a head line before its data (CSV, JSON lines, pkt-line, uploads of
# old clients) is read by readline() and then read(). Granian splits the whole body into lines at the first readline() and
# read() looks where nothing is left. No error, no short count: an import stores the header and zero rows. readline()
# after readline() does find the lines, and readline(size) pays no heed to the size. waitress, in the same run, reads on.
#
# Seen with CPython 3.11.7:  granian: b'name\n', b''    waitress: b'name\n', b'first\nsecond\n'
set -euo pipefail
. "$(dirname "$0")/shared/server.bash"

install granian==2.8.9 waitress==3.0.2
cat >app.py <<'PY'
def application(environ, start_response):
    stream = environ["wsgi.input"]
    seen = f"{stream.readline()}, {stream.read()}".encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(seen)))])
    return [seen]
PY
cat >ask.py <<'PY'
import sys
import threading

import waitress.server
from app import application
from client import ask

peer = waitress.server.create_server(application, host="127.0.0.1", port=0)
threading.Thread(target=peer.run, daemon=True).start()
body = b"name\nfirst\nsecond\n"
head = b"POST / HTTP/1.1\r\nHost: site.example\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
seen = {}
for name, port in (("granian", int(sys.argv[1])), ("waitress", peer.effective_port)):
    seen[name] = ask(head + body, port).partition(b"\r\n\r\n")[2].decode()
    print(f"{name}: {seen[name]}")
assert seen == {"granian": f"{b'name' + bytes([10])}, b''", "waitress": f"{b'name' + bytes([10])}, {b'first' + bytes([10]) + b'second' + bytes([10])}"}
PY
observe venv/bin/granian --interface wsgi --host 127.0.0.1 --port "$port" app:application
