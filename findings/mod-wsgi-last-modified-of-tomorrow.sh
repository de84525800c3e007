#!/usr/bin/env bash
# mod_wsgi 6.1.1 in daemon mode under Apache 2.4.71: a Last-Modified in the future becomes the present, another one with each request.
#
# What comes back from a daemon process is read as Apache reads the head of a CGI program, and a date is no text there: it is read,
# bounded by the present, and written anew. A page whose date is a little ahead (a clock of another machine, an article that is dated for
# tomorrow) has a new date in each answer, so conditional requests never match, and those who poll by that date see a change each
# time. An old form of date (RFC 850) comes out in the present one. `Expires` and `Date` of the same application pass as they are.
#
# Seen:  Tue, 01 Jan 2058 00:00:00 GMT -> the time of the answer    Sunday, 06-Nov-94 08:49:37 GMT -> Sun, 06 Nov 1994 08:49:37 GMT
set -euo pipefail
. "$(dirname "$0")/shared/mod_wsgi.bash"

cat >app.wsgi <<'PY'
FUTURE = "Tue, 01 Jan 2058 00:00:00 GMT"
DATES = {"/future": FUTURE, "/old": "Sunday, 06-Nov-94 08:49:37 GMT"}


def application(environ, start_response):
    date = DATES[environ["PATH_INFO"]]
    start_response("200 OK", [("Content-Type", "text/plain"), ("Last-Modified", date), ("Expires", FUTURE)])
    return [b"page"]
PY
site </dev/null
cat >ask.py <<'PY'
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

from client import ask

dates = {}
for path in ("/future", "/old"):
    head = ask(f"GET {path} HTTP/1.0\r\nHost: site.example\r\n\r\n".encode()).partition(b"\r\n\r\n")[0].decode()
    fields = dict(line.split(": ", 1) for line in head.splitlines()[1:])
    assert fields["Expires"].endswith("2058 00:00:00 GMT"), head
    dates[path] = fields["Last-Modified"]
    print(path, "->", dates[path])
apart = datetime.now(timezone.utc) - parsedate_to_datetime(dates["/future"])
assert abs(apart.total_seconds()) < 600, dates
assert dates["/old"] == "Sun, 06 Nov 1994 08:49:37 GMT", dates
PY
observe "$httpd" -DFOREGROUND -f "$work/httpd.conf"
