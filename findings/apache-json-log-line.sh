#!/usr/bin/env bash
# Apache 2.4.71 writes log lines that are no JSON, although the LogFormat is JSON and quotes come out right.
#
# A LogFormat of JSON with \"%{User-Agent}i\" is in many guides, and it survives the obvious trial: a quote or a backslash in
# the header is written as \" or \\, which JSON has. Every byte above 127 and every control character is written as \xHH, which
# JSON does not have. A collector drops the whole line, so the requests that fail to be counted are those with a name in
# UTF-8, and those of TLS clients and scanners at the plain port, whose first bytes are \x16\x03.
#
# Seen:  Agent "1" -> read    café -> Invalid \escape in {"agent":"caf\xc3\xa9","status":200}
set -euo pipefail
. "$(dirname "$0")/shared/apache.bash"

configure <<'CONF'
LogFormat "{\"agent\":\"%{User-Agent}i\",\"status\":%>s}" json
CustomLog access.log json
CONF
cat >ask.py <<'PY'
import json

from client import ask

for agent in ('Agent "1"', "café"):
    ask(f"GET /page.html HTTP/1.0\r\nHost: site.example\r\nUser-Agent: {agent}\r\n\r\n".encode())
quoted, accented = open("access.log").read().splitlines()
print('Agent "1" ->', "read" if json.loads(quoted) == {"agent": 'Agent "1"', "status": 200} else quoted)
try:
    json.loads(accented)
except ValueError as error:
    print("café ->", str(error).split(":")[0], "in", accented)
    assert accented == r'{"agent":"caf\xc3\xa9","status":200}'
else:
    raise SystemExit("the line is JSON: " + accented)
PY
observe "$httpd" -X -f "$work/httpd.conf"
