#!/usr/bin/env bash
# Hypercorn 0.18.0 answers 500 to every WSGI response without a body.
#
# `wsgi:` applications are run through a wrapper that sends the head together with the first block. An application that
# returns an empty list (PEP 3333 allows it; 304, 302 and answers to HEAD are commonly written so) has no block, so the head
# is never sent and the request ends in "Unexpected message type" and 500.
#
# Seen with CPython 3.11.7:  [] -> 500    [b""] -> 304
set -euo pipefail
. "$(dirname "$0")/shared/server.bash"

install hypercorn==0.18.0
cat >app.py <<'PY'
def application(environ, start_response):
    start_response("304 Not Modified", [("ETag", '"1"')])
    return [b""] if environ["PATH_INFO"] == "/one-empty-block" else []
PY
cat >ask.py <<'PY'
from client import ask

seen = [ask(b"GET " + path + b" HTTP/1.1\r\nHost: site.example\r\nConnection: close\r\n\r\n").split()[1].decode() for path in (b"/", b"/one-empty-block")]
print("[] ->", seen[0])
print('[b""] ->', seen[1])
assert seen == ["500", "304"]
PY
observe venv/bin/hypercorn --bind "127.0.0.1:$port" wsgi:app:application
