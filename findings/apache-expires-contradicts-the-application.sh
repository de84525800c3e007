#!/usr/bin/env bash
# Apache 2.4.71's mod_expires appends its max-age to the Cache-Control of an application that said max-age=0 or no-store.
#
# `ExpiresDefault "access plus 1 day"` reads as a default, for answers that say nothing of their age. The module looks at
# Expires only: without that header it adds Expires, and `max-age` to whatever Cache-Control has. An answer of an application
# then names two ages, and caches differ in which one they take (RFC 9111 §4.2.1 leaves it open); a page with no-store has
# an expiry date tomorrow. An application that sends `Expires` is left alone.
#
# Seen:  max-age=0, must-revalidate -> max-age=0, must-revalidate, max-age=86400    no-store -> no-store, max-age=86400
set -euo pipefail
. "$(dirname "$0")/shared/apache.bash"

export backend
backend=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
configure expires proxy proxy_http <<CONF
ExpiresActive On
ExpiresDefault "access plus 1 day"
ProxyPass / http://127.0.0.1:$backend/
CONF
cat >ask.py <<'PY'
import os
import threading
from wsgiref.simple_server import WSGIRequestHandler, make_server

from client import ask

ANSWERS = {
    "/age": [("Cache-Control", "max-age=0, must-revalidate")],
    "/store": [("Cache-Control", "no-store")],
    "/expires": [("Cache-Control", "no-store"), ("Expires", "Thu, 01 Jan 1970 00:00:00 GMT")],
}


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/html"), *ANSWERS[environ["PATH_INFO"]]])
    return [b"page"]


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass


peer = make_server("127.0.0.1", int(os.environ["backend"]), application, handler_class=Quiet)
threading.Thread(target=peer.serve_forever, daemon=True).start()
seen = {}
for path, headers in ANSWERS.items():
    head = ask(f"GET {path} HTTP/1.0\r\nHost: site.example\r\n\r\n".encode()).partition(b"\r\n\r\n")[0].decode()
    seen[path] = [line.partition(": ")[2] for line in head.split("\r\n") if line.startswith("Cache-Control")]
    print(headers[0][1], f"({len(headers)} header{'s' * (len(headers) > 1)}) ->", *seen[path])
assert seen == {"/age": ["max-age=0, must-revalidate, max-age=86400"], "/store": ["no-store, max-age=86400"], "/expires": ["no-store"]}
PY
observe "$httpd" -X -f "$work/httpd.conf"
