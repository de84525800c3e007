#!/usr/bin/env bash
# cheroot 11.1.2 gives two different URLs the same PATH_INFO: /a%2Fb and /a%252Fb.
#
# PATH_INFO is the decoded path. cheroot decodes every escape but %2F, so that a slash inside a name does not look like a
# separator. What the application gets is neither encoded nor decoded: it cannot tell a name with a slash from a name with
# the three characters `%2F`. waitress, in the same run, decodes both, and an application that asks for the key `a/b`
# (object stores, wikis, package names with a scope) finds it there and not under cheroot.
#
# Seen with CPython 3.11.7:  cheroot: /a%2Fb, /a%2Fb, /a b    waitress: /a/b, /a%2Fb, /a b
set -euo pipefail
. "$(dirname "$0")/shared/server.bash"

install cheroot==11.1.2 waitress==3.0.2
cat >app.py <<'PY'
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["PATH_INFO"].encode("latin-1")]
PY
cat >ask.py <<'PY'
import sys
import threading

import waitress.server
from app import application
from client import ask

peer = waitress.server.create_server(application, host="127.0.0.1", port=0)
threading.Thread(target=peer.run, daemon=True).start()
seen = {}
for name, port in (("cheroot", int(sys.argv[1])), ("waitress", peer.effective_port)):
    answers = [ask(b"GET " + path + b" HTTP/1.0\r\nHost: site.example\r\n\r\n", port) for path in (b"/a%2Fb", b"/a%252Fb", b"/a%20b")]
    seen[name] = [answer.partition(b"\r\n\r\n")[2].decode() for answer in answers]
    print(f"{name}:", ", ".join(seen[name]))
assert seen == {"cheroot": ["/a%2Fb", "/a%2Fb", "/a b"], "waitress": ["/a/b", "/a%2Fb", "/a b"]}
PY
observe venv/bin/python -c "import sys, cheroot.wsgi, app; cheroot.wsgi.Server(('127.0.0.1', int(sys.argv[1])), app.application).start()" "$port"
