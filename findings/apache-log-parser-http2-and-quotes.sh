#!/usr/bin/env bash
# apache-log-parser 1.7.0 keeps HTTP/2.0 in the path and cuts a user agent at its first quote.
#
# Both are everyday lines of Apache's `combined` format: an HTTP/2 request's line ends in HTTP/2.0, and Apache writes a quote
# inside a quoted field as \". The parser knows protocols 1.0 and 1.1 only, so a report counts `/page HTTP/2.0` beside
# `/page`; and it ends the last field at the escaped quote, dropping the rest. No error either way.
#
# Seen with CPython 3.11.7:  /page HTTP/2.0    'Agent \\'
set -euo pipefail
. "$(dirname "$0")/shared/venv.bash"

install apache-log-parser==1.7.0
venv/bin/python - <<'PY'
import apache_log_parser

parse = apache_log_parser.make_parser('%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i"')
stamp = '198.51.100.7 - - [29/Nov/2026:04:00:00 +0000]'
path = parse(stamp + ' "GET /page HTTP/2.0" 200 5 "-" "Agent"')["request_url"]
agent = parse(stamp + r' "GET /page HTTP/1.1" 200 5 "-" "Agent \"Blue\" 2.1"')["request_header_user_agent"]
print(path, "  ", repr(agent))
assert path == "/page HTTP/2.0"
assert agent == "Agent \\"
PY
