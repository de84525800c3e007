#!/usr/bin/env bash
# FastPySGI 0.6 refuses an HTTP/1.0 request without a Host header.
#
# Host is required from HTTP/1.1 on; an HTTP/1.0 request without it is complete. Health checks of load balancers (HAProxy's
# `option httpchk` sends exactly `OPTIONS / HTTP/1.0`) get 400 and take the server out, while browsers are served.
#
# Seen with CPython 3.11.7:  with Host -> 200    without -> 400
set -euo pipefail
. "$(dirname "$0")/shared/server.bash"

install fastpysgi==0.6
cat >app.py <<'PY'
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"well"]
PY
cat >ask.py <<'PY'
from client import ask

seen = [ask(b"OPTIONS / HTTP/1.0\r\n" + host + b"\r\n").split()[1].decode() for host in (b"Host: site.example\r\n", b"")]
print("with Host ->", seen[0])
print("without ->", seen[1])
assert seen == ["200", "400"]
PY
observe venv/bin/python -c "import sys, fastpysgi, app; fastpysgi.run(app.application, host='127.0.0.1', port=int(sys.argv[1]))" "$port"
