#!/usr/bin/env bash
# mod_wsgi 6.1.1 under Apache 2.4.71: a response that broke off in the middle ends like a whole one.
#
# The application raises after its first block, as a streamed export does when the database goes away. The error is logged,
# and the client gets status 200, the block, and the last chunk that says "this was all": a download, a cache or a proxy keeps
# half a file as the file. Leaving out the last chunk is how HTTP/1.1 would tell. With a Content-Length the client can see it.
#
# Seen:  raises -> 200, block, last chunk    returns -> 200, block, last chunk    log: RuntimeError: gone
set -euo pipefail
. "$(dirname "$0")/shared/mod_wsgi.bash"

cat >app.wsgi <<'PY'
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/csv")])
    yield b"1,2\n"
    if environ["PATH_INFO"] == "/raises":
        raise RuntimeError("gone")
PY
site </dev/null
cat >ask.py <<'PY'
from client import ask

seen = []
for path in ("/raises", "/returns"):
    head, _, body = ask(f"GET {path} HTTP/1.1\r\nHost: site.example\r\nConnection: close\r\n\r\n".encode()).partition(b"\r\n\r\n")
    assert b"Transfer-Encoding: chunked" in head, head
    seen.append((head.split()[1], body))
    print(path, "->", *seen[-1])
assert seen == [(b"200", b"4\r\n1,2\n\r\n0\r\n\r\n")] * 2
PY
observe "$httpd" -DFOREGROUND -f "$work/httpd.conf"
stop
grep -o "RuntimeError: gone" error.log
