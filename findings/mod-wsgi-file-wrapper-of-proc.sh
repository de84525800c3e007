#!/usr/bin/env bash
# mod_wsgi 6.1.1 under Apache 2.4.71: `wsgi.file_wrapper` sends nothing of a file in /proc, and 502 for one in /sys.
#
# The wrapper takes the length from stat(), and the kernel's files have no true one: 0 in /proc, 4096 in /sys for a line of
# text. A page that shows /proc/version by `send_file` is an empty 200 with Content-Length 0; of /sys/.../online Apache wants
# bytes that never come. Nothing is logged for the first. The same file object returned without the wrapper comes whole.
#
# Seen:  /proc/version: plain 200 whole, wrapper 200 with 0 bytes    /sys/devices/system/cpu/online: plain 200 whole, wrapper 502
set -euo pipefail
. "$(dirname "$0")/shared/mod_wsgi.bash"

cat >app.wsgi <<'PY'
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    file = open(environ["PATH_INFO"], "rb")
    return environ["wsgi.file_wrapper"](file) if environ["QUERY_STRING"] else file
PY
site </dev/null
cat >ask.py <<'PY'
from client import ask

seen = {}
for path in ("/proc/version", "/sys/devices/system/cpu/online"):
    content = open(path, "rb").read()
    for query in ("", "?wrapper"):
        head, _, body = ask(f"GET {path}{query} HTTP/1.0\r\nHost: site.example\r\n\r\n".encode()).partition(b"\r\n\r\n")
        status = head.split()[1].decode()
        seen[path + query] = (status, "whole" if body == content else f"{len(body)} bytes" if status == "200" else "error page")
        print(path + query, "->", *seen[path + query])
assert list(seen.values()) == [("200", "whole"), ("200", "0 bytes"), ("200", "whole"), ("502", "error page")]
PY
observe "$httpd" -DFOREGROUND -f "$work/httpd.conf"
