#!/usr/bin/env bash
# Apache 2.4.71 answers a range behind the end of a file with 416, and does not say how long the file is.
#
# RFC 9110 (15.5.17) has `Content-Range: bytes */LENGTH` there, so that a client that resumes a download learns that it has
# everything, or how much there is. From Apache it gets a page and no length, and has to ask again with HEAD. A list in which
# one range is good is no error: what is good is served, and the others are passed over.
#
# Seen:  bytes=9999- of 5,000 -> 416, no Content-Range    bytes=9999-,0-9 -> 206, Content-Range: bytes 0-9/5000
set -euo pipefail
. "$(dirname "$0")/shared/apache.bash"

configure </dev/null
head -c 5000 /dev/zero | tr '\0' a >files/page.txt
chmod 644 files/page.txt
cat >ask.py <<'PY'
from client import ask


def asked(ranges: str) -> tuple[str, list[str]]:
    request = f"GET /page.txt HTTP/1.1\r\nHost: site.example\r\nRange: bytes={ranges}\r\nConnection: close\r\n\r\n"
    lines = ask(request.encode()).decode("latin-1").partition("\r\n\r\n")[0].split("\r\n")
    said = [line for line in lines[1:] if line.lower().startswith("content-range")]
    print(f"bytes={ranges} ->", lines[0].split()[1], said)
    return lines[0].split()[1], said


assert asked("9999-") == ("416", [])
assert asked("9999-,0-9") == ("206", ["Content-Range: bytes 0-9/5000"])
PY
observe "$httpd" -X -f "$work/httpd.conf"
