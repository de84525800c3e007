#!/usr/bin/env bash
# Werkzeug 3.1.9's SharedDataMiddleware answers a failed If-Match with 304 and a POST with the file.
#
# If-Match with a tag that the file does not have is 412 (RFC 9110 §13.1.1): "do it only if it is still what I saw".
# SharedDataMiddleware says 304, "you have it already", to a client that has something else. A POST or DELETE on a file's
# path is 200 with the file, not 405, so a form with a wrong action seems to succeed.
#
# Seen with CPython 3.11.7:  GET If-Match "another" -> 304    POST -> 200 b'0123456789'
set -euo pipefail
. "$(dirname "$0")/shared/venv.bash"

install Werkzeug==3.1.9 WebOb==1.8.11
venv/bin/python - <<'PY'
import os

from webob import Request

os.mkdir("files")
with open("files/ten.txt", "wb") as file:
    file.write(b"0123456789")

from werkzeug.middleware.shared_data import SharedDataMiddleware

application = SharedDataMiddleware(None, {"/": os.path.abspath("files")})
failed = Request.blank("/ten.txt", headers={"If-Match": '"another"'}).get_response(application)
posted = Request.blank("/ten.txt", method="POST", body=b"name=value").get_response(application)
print('GET If-Match "another" ->', failed.status_int)
print("POST ->", posted.status_int, posted.body)
assert failed.status_int == 304
assert (posted.status_int, posted.body) == (200, b"0123456789")
PY
