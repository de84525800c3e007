#!/usr/bin/env bash
# FastPySGI 0.6 rewrites Content-Length to what the application gave, so a body that broke off looks complete.
#
# An application announces 10 bytes and ends after 3 (the file shrank, the database cursor ended early). Other servers keep
# the promise in the head and close, so that the client knows it has a part. FastPySGI collects the body first and
# replaces the header by the length it found: a client, a cache and a download manager take 3 bytes for the whole.
#
# Seen with CPython 3.11.7:  Content-Length: 3
set -euo pipefail
. "$(dirname "$0")/shared/server.bash"

install fastpysgi==0.6
cat >app.py <<'PY'
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "10")])
    return iter([b"abc"])
PY
cat >ask.py <<'PY'
from client import ask

head, _, body = ask(b"GET / HTTP/1.1\r\nHost: site.example\r\nConnection: close\r\n\r\n").partition(b"\r\n\r\n")
lengths = [line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")]
print(lengths, body)
assert lengths == [b"Content-Length: 3"] and body == b"abc"
PY
observe venv/bin/python -c "import sys, fastpysgi, app; fastpysgi.run(app.application, host='127.0.0.1', port=int(sys.argv[1]))" "$port"
