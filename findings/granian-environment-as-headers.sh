#!/usr/bin/env bash
# Granian 2.8.9 shows the process's environment variables to the application as request headers.
#
# Each request's environ begins as a copy of os.environ. A container's HTTP_PROXY, or an HTTP_X_REQUEST_SOURCE that some
# tool set, is then in every request under the name that the header `Proxy:` or `X-Request-Source:` would have, and
# cannot be told from one that the client sent. A header that the client does send wins.
#
# Seen with CPython 3.11.7:  not sent -> from-the-environment    sent -> from-the-client
set -euo pipefail
. "$(dirname "$0")/shared/server.bash"

install granian==2.8.9
cat >app.py <<'PY'
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ.get("HTTP_X_REQUEST_SOURCE", "absent").encode()]
PY
cat >ask.py <<'PY'
from client import ask

def source(header):
    answer = ask(b"GET / HTTP/1.1\r\nHost: site.example\r\nConnection: close\r\n" + header + b"\r\n")
    return answer.partition(b"\r\n\r\n")[2].decode()

seen = [source(b""), source(b"X-Request-Source: from-the-client\r\n")]
print("not sent ->", seen[0])
print("sent ->", seen[1])
assert seen == ["from-the-environment", "from-the-client"]
PY
observe env HTTP_X_REQUEST_SOURCE=from-the-environment venv/bin/granian --interface wsgi --host 127.0.0.1 --port "$port" app:application
