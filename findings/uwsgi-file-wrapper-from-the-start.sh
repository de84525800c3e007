#!/usr/bin/env bash
# uWSGI 2.0.31's wsgi.file_wrapper sends a file from its start, wherever the application had sought to.
#
# PEP 3333: transmission begins at the file's current position, so an application answers a range, or a part of an archive,
# by seek() and file_wrapper. uWSGI sends the file from byte 0 to its end, under the application's 206 and with more
# bytes than Content-Length says. An io.BytesIO in the same wrapper is read from its position, so tests with
# one pass. waitress, in the same run, sends the part.
#
# Seen with CPython 3.11.7:  uwsgi: Content-Length 3, b'0123456789'    waitress: Content-Length 3, b'456'
set -euo pipefail
. "$(dirname "$0")/shared/server.bash"

install uWSGI==2.0.31 waitress==3.0.2
printf 0123456789 >ten.txt
cat >app.py <<'PY'
import io


def application(environ, start_response):
    file = open("ten.txt", "rb") if environ["PATH_INFO"] == "/" else io.BytesIO(b"0123456789")
    file.seek(4)
    length = "3" if environ["PATH_INFO"] == "/" else "6"
    start_response("206 Partial Content", [("Content-Range", "bytes 4-6/10"), ("Content-Length", length)])
    return environ["wsgi.file_wrapper"](file)
PY
cat >ask.py <<'PY'
import sys
import threading

import waitress.server
from app import application
from client import ask

peer = waitress.server.create_server(application, host="127.0.0.1", port=0)
threading.Thread(target=peer.run, daemon=True).start()
seen = {}
for name, port in (("uwsgi", int(sys.argv[1])), ("waitress", peer.effective_port)):
    head, _, body = ask(b"GET / HTTP/1.1\r\nHost: site.example\r\nConnection: close\r\n\r\n", port).partition(b"\r\n\r\n")
    length = next(line for line in head.decode().split("\r\n") if line.startswith("Content-Length")).replace(":", "")
    seen[name] = (length, body)
    print(f"{name}: {length}, {body}")
assert seen == {"uwsgi": ("Content-Length 3", b"0123456789"), "waitress": ("Content-Length 3", b"456")}
memory = ask(b"GET /memory HTTP/1.1\r\nHost: site.example\r\nConnection: close\r\n\r\n").partition(b"\r\n\r\n")[2]
print("uwsgi, io.BytesIO:", memory)
assert memory == b"456789"
PY
# Without --die-on-term uWSGI takes SIGTERM for "reload" and never ends.
observe venv/bin/uwsgi --http-socket "127.0.0.1:$port" --wsgi-file app.py --die-on-term
