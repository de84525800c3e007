#!/usr/bin/env bash
# Roundup 2.6.0 as a WSGI application: HEAD of a file says Content-Length: 0, with the ETag, the type and the dates of the whole file.
#
# A page made of a template is right; only files (@@file/...) overwrite the length that was found a few lines before. A range asked for by
# HEAD is a 206 whose Content-Range contradicts its length. A server cannot repair it, as the length is the application's word about
# a body that HEAD does not have. A cache that refreshes what it holds by HEAD throws it away, since the lengths differ, or keeps
# an empty file; monitors that compare sizes report that the file is gone.
#
# Seen with CPython 3.11.7:  GET 200 length 9554, HEAD 200 length 0, HEAD of bytes=0-9: 206 "bytes 0-9/9554" length 0, HEAD of / 5865
set -euo pipefail
. "$(dirname "$0")/shared/venv.bash"

install roundup==2.6.0
admin=venv/bin/roundup-admin
"$admin" -i tracker install classic anydbm >install.log
sed -i 's|^#web = .*|web = http://tracker.example/|; s|^#domain = .*|domain = tracker.example|; s|^#host = .*|host = localhost|' \
    tracker/config.ini
"$admin" -i tracker initialise secret >initialise.log
venv/bin/python - <<'PY'
from wsgiref.util import setup_testing_defaults

from roundup.cgi.wsgi_handler import RequestDispatcher

application = RequestDispatcher("tracker")


def ask(method, path, **more):
    environ = {"REQUEST_METHOD": method, "PATH_INFO": path, "SCRIPT_NAME": "", **more}
    setup_testing_defaults(environ)
    told, written = [], []

    def start_response(status, headers, exc_info=None):
        told.append((status[:3], {name.lower(): value for name, value in headers}))
        return written.append

    written.extend(application(environ, start_response))
    status, headers = told[0]
    return status, headers, len(b"".join(written))


FILE = "/@@file/style.css"
status, whole, size = ask("GET", FILE)
print("GET", status, whole["content-length"], "and", size, "bytes")
assert status == "200" and int(whole["content-length"]) == size > 0
status, head, _ = ask("HEAD", FILE)
print("HEAD", status, head["content-length"])
assert (status, head["content-length"], head["etag"]) == ("200", "0", whole["etag"])
status, part, _ = ask("HEAD", FILE, HTTP_RANGE="bytes=0-9")
print("HEAD of a range", status, part["content-range"], part["content-length"])
assert (status, part["content-range"], part["content-length"]) == ("206", f"bytes 0-9/{size}", "0")
status, page, _ = ask("HEAD", "/")
print("HEAD of a page", status, page["content-length"])
assert status == "200" and int(page["content-length"]) > 1000
PY
