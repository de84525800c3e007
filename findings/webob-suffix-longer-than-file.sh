#!/usr/bin/env bash
# WebOb 1.8.11 answers 416 to `the last 100 bytes` of a file of 10.
#
# A suffix longer than the file selects the whole file (RFC 9110 §14.1.2); `tail`-like readers ask for the last 64 KiB
# without knowing the size. WebOb counts from the end, gets a negative start and calls the range not satisfiable.
#
# Seen with CPython 3.11.7:  bytes=-3 -> 206    bytes=-100 -> 416 bytes */10
set -euo pipefail
. "$(dirname "$0")/shared/venv.bash"

install WebOb==1.8.11
venv/bin/python - <<'PY'
import os

from webob import Request

os.mkdir("files")
with open("files/ten.txt", "wb") as file:
    file.write(b"0123456789")

from webob.static import FileApp

application = FileApp("files/ten.txt")
answers = [Request.blank("/", headers={"Range": asked}).get_response(application) for asked in ("bytes=-3", "bytes=-100")]
print("bytes=-3 ->", answers[0].status_int)
print("bytes=-100 ->", answers[1].status_int, answers[1].headers["Content-Range"])
assert [answer.status_int for answer in answers] == [206, 416]
PY
