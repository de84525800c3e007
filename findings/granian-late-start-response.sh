#!/usr/bin/env bash
# Granian 2.8.9 drops the status and headers of an application that calls start_response while it is iterated.
#
# PEP 3333 lets an application call start_response as late as the first step of its iterable, so a generator function is a
# valid application. Granian reads status and headers when the call returns, before that first step: the client gets
# 200 with no header of the application, whatever was asked for. Nothing is logged. An error page becomes a 200, a
# redirect an empty page. waitress, in the same run, answers as the application asked.
#
# Seen with CPython 3.11.7:  granian: 200, no Location    waitress: 302, Location /login
# For operators who move here from Granian: an application like this begins to answer with its real status.
set -euo pipefail
. "$(dirname "$0")/shared/server.bash"

install granian==2.8.9 waitress==3.0.2
cat >app.py <<'PY'
def application(environ, start_response):
    start_response("302 Found", [("Location", "/login"), ("Content-Type", "text/plain")])
    yield b"moved"
PY
cat >ask.py <<'PY'
import threading

import waitress.server
from app import application
from client import ask

peer = waitress.server.create_server(application, host="127.0.0.1", port=0)
threading.Thread(target=peer.run, daemon=True).start()
request = b"GET / HTTP/1.1\r\nHost: site.example\r\nConnection: close\r\n\r\n"
seen = {"granian": ask(request).lower()}
seen["waitress"] = ask(request, peer.effective_port).lower()
for name, answer in seen.items():
    print(f"{name}: {answer.split()[1].decode()}, {'Location' if b'location: /login' in answer else 'no Location'}")
assert seen["granian"].startswith(b"http/1.1 200 ") and b"location" not in seen["granian"]
assert seen["waitress"].startswith(b"http/1.1 302 ") and b"location: /login" in seen["waitress"]
PY
observe venv/bin/granian --interface wsgi --host 127.0.0.1 --port "$port" app:application
