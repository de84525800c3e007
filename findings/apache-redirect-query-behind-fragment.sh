#!/usr/bin/env bash
# Apache 2.4.71's mod_alias appends path and query to a Redirect's target as plain text: behind its fragment, or into its query.
#
# `Redirect /old/ http://site.example/new#prices` works when tried by hand. A visitor who comes with ?page=2 is sent to
# `new#prices?page=2`: a browser keeps what is behind # for itself, so the server gets no query and the page has no such
# anchor. RedirectMatch does the same. A target with a query of its own drops the visitor's, and what follows the matched
# path becomes part of that query.
#
# Seen:  /old?page=2 -> /new#prices?page=2    /docs/a?page=2 -> /new#a?page=2    /find/a?page=2 -> /search?all=1a
set -euo pipefail
. "$(dirname "$0")/shared/apache.bash"

configure alias <<'CONF'
Redirect /old http://site.example/new#prices
Redirect /docs/ http://site.example/new#
Redirect /find/ http://site.example/search?all=1
RedirectMatch ^/match/(.*)$ http://site.example/$1#prices
CONF
cat >ask.py <<'PY'
from client import ask

EXPECTED = {
    "/old": "/new#prices",
    "/old?page=2": "/new#prices?page=2",
    "/docs/a?page=2": "/new#a?page=2",
    "/find/a?page=2": "/search?all=1a",
    "/match/a?page=2": "/a#prices?page=2",
}
seen = {}
for asked in EXPECTED:
    head = ask(f"GET {asked} HTTP/1.0\r\nHost: site.example\r\n\r\n".encode()).partition(b"\r\n\r\n")[0].decode()
    seen[asked] = next(line for line in head.split("\r\n") if line.startswith("Location")).partition("http://site.example")[2]
    print(asked, "->", seen[asked])
assert seen == EXPECTED
PY
observe "$httpd" -X -f "$work/httpd.conf"
