#!/usr/bin/env bash
# Paste 3.10.1 answers a request for a file's last bytes with its first ones.
#
# `Range: bytes=-3` asks for the last three bytes (RFC 9110 §14.1.2): video players read an index at the end of a file so,
# and zip tools a directory. paste.fileapp takes the number for an end position and sends bytes 0 to 3, with a
# Content-Range that says so and 206. A range that ends beyond the file (`bytes=5-100`, allowed) is 416.
#
# Seen with CPython 3.11.7:  bytes=-3 -> 206, bytes 0-3/10, b'0123'    bytes=5-100 -> 416
set -euo pipefail
. "$(dirname "$0")/shared/venv.bash"

install Paste==3.10.1 WebOb==1.8.11 'setuptools<81'
venv/bin/python - <<'PY'
import os

from webob import Request

os.mkdir("files")
with open("files/ten.txt", "wb") as file:
    file.write(b"0123456789")

from paste.fileapp import FileApp

application = FileApp("files/ten.txt")
seen = []
for asked in ("bytes=-3", "bytes=5-100"):
    answer = Request.blank("/", headers={"Range": asked}).get_response(application)
    seen.append((answer.status_int, answer.headers.get("Content-Range"), answer.body if answer.status_int == 206 else None))
    print(asked, "->", *seen[-1])
assert seen[0] == (206, "bytes 0-3/10", b"0123")
assert seen[1][0] == 416
PY
