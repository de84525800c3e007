#!/usr/bin/env bash
# WhiteNoise 6.12.0 sends a file again to every client behind a proxy that compresses.
#
# nginx and others turn a strong ETag into a weak one when they compress a response (`W/"..."`), and If-None-Match is
# compared weakly (RFC 9110 §13.1.2), so the client's W/ form must still give 304. WhiteNoise compares the header's text with
# its own: no 304 for the weak form, and none for a list of two tags that holds the right one.
#
# Seen with CPython 3.11.7:  as sent -> 304    weak -> 200    in a list -> 200
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
tag = Request.blank("/ten.txt").get_response(application).headers["ETag"]
seen = []
for what, asked in (("as sent", tag), ("weak", "W/" + tag), ("in a list", '"another", ' + tag)):
    answer = Request.blank("/ten.txt", headers={"If-None-Match": asked}).get_response(application)
    seen.append(answer.status_int)
    print(what, "->", answer.status_int)
assert seen == [304, 200, 200]
PY
