#!/usr/bin/env bash
# asgiref 3.13.0's WsgiToAsgi reads a chunked upload, and Flask 3.1.3 then sees an empty body.
#
# The adapter has the whole body in wsgi.input, ends at its end, and says so nowhere: no CONTENT_LENGTH, no
# wsgi.input_terminated. Werkzeug, which must not read beyond the request, takes such a stream for empty. Neither is wrong
# alone; together a `curl -T -`, a Go or Node client that streams, and some mobile SDKs store nothing and get 200.
#
# Seen with CPython 3.11.7, uvicorn 0.54.0:  with Content-Length -> hello    chunked -> 0 bytes; wsgi.input holds b'hello'
set -euo pipefail
. "$(dirname "$0")/shared/server.bash"

install asgiref==3.13.0 Flask==3.1.3 Werkzeug==3.1.9 uvicorn==0.54.0
cat >app.py <<'PY'
from asgiref.wsgi import WsgiToAsgi
from flask import Flask, request

site = Flask(__name__)


@site.post("/")
def store():
    return [request.get_data().decode(), request.environ["wsgi.input"].read().decode()]


application = WsgiToAsgi(site)
PY
cat >ask.py <<'PY'
import json

from client import ask

head = b"POST / HTTP/1.1\r\nHost: site.example\r\nConnection: close\r\n"
answers = [ask(head + rest) for rest in (b"Content-Length: 5\r\n\r\nhello", b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")]
assert all(answer.startswith(b"HTTP/1.1 200 ") for answer in answers)
seen = [json.loads(answer.partition(b"\r\n\r\n")[2]) for answer in answers]
print("with Content-Length ->", seen[0][0])
print("chunked ->", len(seen[1][0]), "bytes; wsgi.input holds", seen[1][1].encode())
assert seen == [["hello", ""], ["", "hello"]]
PY
observe venv/bin/uvicorn --host 127.0.0.1 --port "$port" --log-level critical app:application
