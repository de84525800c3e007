#!/usr/bin/env bash
# gevent 26.9.0 turns a 304 that carries Content-Length into 500.
#
# RFC 9110 §8.6 lets a 304 name the length that the 200 would have had, and Apache and nginx pass such answers on. An
# application or a cache that sends the head of its 200 with another status does so. gevent.pywsgi requires "absent or
# zero" and raises an AssertionError in start_response: the first visit works, and every later one, the browser's check of
# what it holds, is an error page. waitress, in the same run, answers 304.
#
# Seen with CPython 3.11.7:  gevent: 200, then 500    waitress: 200, then 304
set -euo pipefail
. "$(dirname "$0")/shared/server.bash"

install gevent==26.9.0 waitress==3.0.2
cat >app.py <<'PY'
def application(environ, start_response):
    known = environ.get("HTTP_IF_NONE_MATCH") == '"1"'
    start_response("304 Not Modified" if known else "200 OK", [("ETag", '"1"'), ("Content-Length", "4")])
    return [] if known else [b"page"]
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
for name, port in (("gevent", int(sys.argv[1])), ("waitress", peer.effective_port)):
    head = b"GET / HTTP/1.1\r\nHost: site.example\r\nConnection: close\r\n"
    seen[name] = [ask(head + condition + b"\r\n", port).split()[1].decode() for condition in (b"", b'If-None-Match: "1"\r\n')]
    print(f"{name}: {seen[name][0]}, then {seen[name][1]}")
assert seen == {"gevent": ["200", "500"], "waitress": ["200", "304"]}
PY
observe venv/bin/python -c "import sys, gevent.pywsgi, app; gevent.pywsgi.WSGIServer(('127.0.0.1', int(sys.argv[1])), app.application, log=None).serve_forever()" "$port"
