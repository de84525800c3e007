#!/usr/bin/env bash
# Apache 2.4.71 answers a request line of HTTP/2.0, HTTP/3.0 or HTTP/9.9 like one of HTTP/1.1.
#
# RFC 9110 has status 505 for a major version that a server does not speak, and says that the meaning of a message depends on
# it. Apache reads the line, serves the page with HTTP/1.1 and writes the client's version into the access log: what looks there
# like requests by HTTP/3 came in plain text over TCP. HTTP/2.0 is no exception, without any HTTP/2 module.
#
# Seen:  1.2, 2.0, 3.0, 9.9 -> HTTP/1.1 200, logged as HTTP/1.2, HTTP/2.0, HTTP/3.0, HTTP/9.9    without Host: 400
set -euo pipefail
. "$(dirname "$0")/shared/apache.bash"

configure <<'CONF'
LogFormat "%H %>s" version
CustomLog access.log version
CONF
cat >ask.py <<'PY'
from client import ask

seen = {}
for version in ("1.2", "2.0", "3.0", "9.9"):
    seen[version] = []
    for host in ("Host: site.example\r\n", ""):
        answer = ask(f"GET /page.html HTTP/{version}\r\n{host}Connection: close\r\n\r\n".encode()).decode()
        seen[version].append(" ".join(answer.split()[:2]))
    print("HTTP/" + version, "->", *seen[version])
    assert seen[version] == ["HTTP/1.1 200", "HTTP/1.1 400"]
logged = [line.split()[0] for line in open("access.log") if line.split()[1] == "200"]
print("logged", *logged)
assert logged == [f"HTTP/{version}" for version in seen]
PY
observe "$httpd" -X -f "$work/httpd.conf"
