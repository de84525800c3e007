#!/usr/bin/env bash
# WhiteNoise 6.12.0 ignores If-Range: a download resumed after a deploy becomes half old and half new.
#
# A client that resumes sends Range together with If-Range and the ETag of what it has; when the file has changed the
# server must send the whole (RFC 9110 §13.1.5). WhiteNoise answers 206 with the new file's part under any If-Range, and the
# client glues the two halves together. Its own ETag is in the answer, but curl -C, browsers and wget trust the 206.
#
# Seen with CPython 3.11.7:  If-Range "of-the-old-file" -> 206, bytes 5-9/10
set -euo pipefail
. "$(dirname "$0")/shared/venv.bash"

install whitenoise==6.12.0 WebOb==1.8.11
venv/bin/python - <<'PY'
import os

from webob import Request

os.mkdir("files")
with open("files/ten.txt", "wb") as file:
    file.write(b"0123456789")

from whitenoise import WhiteNoise

application = WhiteNoise(None, root="files")
answer = Request.blank("/ten.txt", headers={"Range": "bytes=5-", "If-Range": '"of-the-old-file"'}).get_response(application)
print('If-Range "of-the-old-file" ->', answer.status_int, answer.headers["Content-Range"])
assert (answer.status_int, answer.headers["Content-Range"], answer.body) == (206, "bytes 5-9/10", b"56789")
PY
