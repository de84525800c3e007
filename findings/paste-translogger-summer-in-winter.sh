#!/usr/bin/env bash
# Paste 3.10.1's TransLogger writes summer's UTC offset into the access log all winter, and half an hour as 50 minutes.
#
# The filter writes Apache's `combined` format for servers that have no access log, waitress first of all; Pyramid's documentation shows
# it. The local time is right and the offset looks right, as half of the year it is. write_log() takes time.altzone wherever time.daylight
# is set, which says that the zone has a summer time, not that it is summer (time.localtime().tm_isdst is for that). Whoever makes UTC of
# the lines, as collectors and apachelogs 0.6.1 do, sees each request of a European winter an hour early, beside those of a proxy at the
# right time; a trace or an incident is looked for in the wrong hour. The offset is made of hours times 100, so India's +0530 is +0550, all
# year. TZ=UTC for the process is the way out. gunicorn, in its own access log, writes %z.
#
# Seen with CPython 3.11.7:
#   Prague in July:    14:00:00 +0200, read as 12:00 UTC, was 12:00
#   Prague in January: 13:00:00 +0200, read as 11:00 UTC, was 12:00
#   Kolkata:           17:30:00 +0550, read as 11:40 UTC, was 12:00
set -euo pipefail
. "$(dirname "$0")/shared/venv.bash"

install Paste==3.10.1 apachelogs==0.6.1
cat >see.py <<'PY'
import logging
import os
import time
from datetime import datetime, timezone
from unittest import mock

from apachelogs import COMBINED, LogParser
from paste.translogger import TransLogger

lines = []
handler = logging.Handler()
handler.emit = lambda record: lines.append(record.getMessage())
logging.getLogger("wsgi").addHandler(handler)


def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "0")])
    return []


logged = TransLogger(app, setup_console_handler=False)
environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "SERVER_PROTOCOL": "HTTP/1.1", "REMOTE_ADDR": "198.51.100.7"}
localtime = time.localtime
seen = []
for place, zone, month in (
    ("Prague in July:   ", "CET-1CEST,M3.5.0,M10.5.0/3", 7),
    ("Prague in January:", "CET-1CEST,M3.5.0,M10.5.0/3", 1),
    ("Kolkata:          ", "IST-5:30", 1),
):
    os.environ["TZ"] = zone  # as rules of POSIX: the same with and without a database of zones
    time.tzset()
    was = datetime(2026, month, 15, 12, tzinfo=timezone.utc)
    with mock.patch("time.localtime", lambda: localtime(was.timestamp())):
        list(logged(dict(environ), lambda *head: None))
    line = lines[-1]
    read = LogParser(COMBINED).parse(line).request_time.astimezone(timezone.utc)
    written = line[line.index("[") + 13 : line.index("]")]
    print(f"{place} {written}, read as {read:%H:%M} UTC, was {was:%H:%M}")
    seen.append((written, f"{read:%H:%M}"))
assert seen == [("14:00:00 +0200", "12:00"), ("13:00:00 +0200", "11:00"), ("17:30:00 +0550", "11:40")], seen
PY
venv/bin/python see.py
