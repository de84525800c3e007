#!/usr/bin/env bash
# Apache 2.4.71 counts a range that lies before the last one as a reversal only where the two overlap.
#
# MaxRangeReversals (20) bounds by its description the ranges of a request that go backwards, as "100-200,50-70" does; above
# it the whole file is sent. Thirty ranges from the end to the beginning are thirty parts, however, as long as they stay
# apart. Where each reaches into the one before, the same number gives 200. A server that counts by the description sends
# whole files to readers (of PDF files, for example) that Apache answers with parts.
#
# Seen:  30 backwards, apart -> 206, 30 parts    30 backwards, overlapping -> 200, 5000 bytes
set -euo pipefail
. "$(dirname "$0")/shared/apache.bash"

configure </dev/null
head -c 5000 /dev/zero | tr '\0' a >files/page.txt
chmod 644 files/page.txt
cat >ask.py <<'PY'
from client import ask


def asked(width: int) -> tuple[str, int, int]:
    ranges = ",".join(f"{4000 - 10 * i}-{4000 - 10 * i + width - 1}" for i in range(30))
    request = f"GET /page.txt HTTP/1.1\r\nHost: site.example\r\nRange: bytes={ranges}\r\nConnection: close\r\n\r\n"
    head, _, body = ask(request.encode()).decode("latin-1").partition("\r\n\r\n")
    seen = head.split()[1], body.lower().count("content-range"), body.count("a")
    print(f"{ranges[:30]}... ->", *seen[:2], "parts")
    return seen


status, parts, _ = asked(5)
assert (status, parts) == ("206", 30)
status, parts, size = asked(15)
assert (status, parts, size) == ("200", 0, 5000)
PY
observe "$httpd" -X -f "$work/httpd.conf"
