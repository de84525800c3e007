#!/usr/bin/env bash
# clfparser 0.3 gives a record of empty strings for a log line with an escaped quote, and drops the time zone of the others.
#
# A query like ?q="x" is logged by Apache as ?q=\"x\". The parser's expression does not fit such a line and it returns
# the usual dictionary with every value empty: the request is counted, without status, path or address. Of other lines the
# time comes back without its offset, so that logs of two servers in different zones sort wrong.
#
# Seen with CPython 3.11.7:  h '' s '' time ''    +0530 -> 2026-11-29T04:00:00, tzinfo None
set -euo pipefail
. "$(dirname "$0")/shared/venv.bash"

install clfparser==0.3
venv/bin/python - <<'PY'
from clfparser import CLFParser

blank = CLFParser.logDict(r'198.51.100.7 - - [29/Nov/2026:04:00:00 +0530] "GET /?q=\"x\" HTTP/1.1" 200 5 "-" "Agent"')
whole = CLFParser.logDict('198.51.100.7 - - [29/Nov/2026:04:00:00 +0530] "GET / HTTP/1.1" 200 5 "-" "Agent"')
print(*(f"{name} {blank[name]!r}" for name in ("h", "s", "time")))
print("+0530 ->", whole["time"].isoformat() + ", tzinfo", whole["time"].tzinfo)
assert set(blank.values()) == {""}
assert whole["time"].isoformat() == "2026-11-29T04:00:00" and whole["time"].tzinfo is None
PY
