#!/usr/bin/env bash
# asgiref 3.13.0's WsgiToAsgi under uvicorn 0.54.0 answers 500 to requests that come quickly on a kept connection.
#
# uvicorn starts a request that waited for the one before it in that one's context, where asgiref finds the finished request's
# executor: "CurrentThreadExecutor already quit or is broken". A client that sends its next request as soon as it has the
# whole body, as each proxy with kept connections does, arrives before the adapter has ended the request and meets it by chance;
# a client that opens a connection for each request never does, and curl from a shell shows nothing. Hypercorn 0.18.0 runs
# the same application without one.
#
# Seen with CPython 3.11.7:  500 of 300 in a row, uvicorn: 113    hypercorn: 0
set -euo pipefail
. "$(dirname "$0")/shared/server.bash"

install asgiref==3.13.0 uvicorn==0.54.0 hypercorn==0.18.0
cat >app.py <<'PY'
from asgiref.wsgi import WsgiToAsgi


def site(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "4")])
    yield b"page"


application = WsgiToAsgi(site)
PY
cat >ask.py <<'PY'
import http.client
import sys

from client import ask

ask(b"GET / HTTP/1.0\r\n\r\n")  # waits until it listens
connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=20)
failed = 0
for _ in range(300):
    connection.request("GET", "/")
    answer = connection.getresponse()
    answer.read()
    failed += answer.status == 500
print(failed)
PY
observe venv/bin/uvicorn --host 127.0.0.1 --port "$port" --log-level critical app:application >uvicorn.txt
observe venv/bin/hypercorn --bind "127.0.0.1:$port" app:application >hypercorn.txt
echo "500 of 300 in a row, uvicorn: $(cat uvicorn.txt)    hypercorn: $(cat hypercorn.txt)"
[ "$(cat uvicorn.txt)" -gt 0 ] && [ "$(cat hypercorn.txt)" = 0 ]
