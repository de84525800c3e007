#!/usr/bin/env bash
# aiohttp-wsgi 0.10.0 gives the application a decoded PATH_INFO: /café reaches Flask 3.1.3 spoiled, /čaj is 500 outside Flask.
#
# PEP 3333: each character of PATH_INFO is one byte of the path, and frameworks turn it back into bytes and decode UTF-8.
# The adapter decodes UTF-8 itself. Werkzeug then reads `é` as a broken byte and hands the view caf\ufffd, with 200; `č` is no
# byte at all, the UnicodeEncodeError rises outside the application's error handlers, and the client gets the adapter's own
# page. waitress, in the same run, gives what PEP 3333 says.
#
# Seen with CPython 3.11.7:  aiohttp-wsgi: 200 'caf\ufffd', 500    waitress: 200 'caf\xe9', 200 '\u010daj'
set -euo pipefail
. "$(dirname "$0")/shared/server.bash"

install aiohttp-wsgi==0.10.0 aiohttp==3.14.5 Flask==3.1.3 Werkzeug==3.1.9 waitress==3.0.2
cat >app.py <<'PY'
from flask import Flask

application = Flask(__name__)


@application.get("/<name>")
def page(name):
    return ascii(name)
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
for server, port in (("aiohttp-wsgi", int(sys.argv[1])), ("waitress", peer.effective_port)):
    seen[server] = []
    for path in (b"/caf%C3%A9", b"/%C4%8Daj"):
        head, _, body = ask(b"GET " + path + b" HTTP/1.0\r\nHost: site.example\r\n\r\n", port).partition(b"\r\n\r\n")
        status = head.split()[1].decode()
        seen[server].append(f"{status} {body.decode()}" if status == "200" else status)
    print(f"{server}:", ", ".join(seen[server]))
assert seen == {"aiohttp-wsgi": [r"200 'caf\ufffd'", "500"], "waitress": [r"200 'caf\xe9'", r"200 '\u010daj'"]}
PY
observe venv/bin/python -c "import sys, aiohttp_wsgi, app; aiohttp_wsgi.serve(app.application, host='127.0.0.1', port=int(sys.argv[1]))" "$port"
