#!/usr/bin/env bash
# sentry-sdk 2.75.0 in an interpreter with its own GIL: the first exception becomes a RuntimeError, and nothing is reported.
#
# CPython refuses daemon threads in an isolated interpreter (3.12 and later; concurrent.interpreters of 3.14 here). The SDK
# starts its sending thread, a daemon, with the first event. sentry_sdk.init() and every healthy request pass; a request that
# fails leaves SentryWsgiMiddleware as "daemon threads are disabled in this interpreter", so that error handlers for the
# application's own exception do not fit. An interpreter that shares the GIL reports as ever.
#
# Seen with CPython 3.14.7:  main: page, LookupError, events 1    isolated: page, RuntimeError, events 0
set -euo pipefail
. "$(dirname "$0")/shared/venv.bash"

install_into venv "$(cpython 3.14)" sentry-sdk==2.75.0
venv/bin/python - <<'PY'
import http.server
import threading
from concurrent import interpreters

events = []


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        events.append(self.path)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


receiver = http.server.HTTPServer(("127.0.0.1", 0), Receiver)
threading.Thread(target=receiver.serve_forever, daemon=True).start()
SITE = f"""
from wsgiref.util import setup_testing_defaults
import sentry_sdk
from sentry_sdk.integrations.wsgi import SentryWsgiMiddleware

sentry_sdk.init("http://key@127.0.0.1:{receiver.server_port}/1", default_integrations=False, auto_session_tracking=False)


def application(environ, start_response):
    if environ["PATH_INFO"] == "/fails":
        raise LookupError("the page cannot be made")
    start_response("200 OK", [])
    return [b"page"]


site = SentryWsgiMiddleware(application)


def ask(path):
    environ = dict(PATH_INFO=path)
    setup_testing_defaults(environ)
    try:
        return b"".join(site(environ, lambda *_: None)).decode()
    except Exception as error:
        return type(error).__name__


seen = (ask("/"), ask("/fails"))
try:
    sentry_sdk.flush(timeout=10)
except RuntimeError:
    pass
"""
own = {}
exec(SITE, own)
seen = {"main": (*own["seen"], len(events))}
events.clear()
isolated = interpreters.create()
told = interpreters.create_queue()
isolated.prepare_main(told=told)
isolated.exec(SITE + "told.put(seen)")
seen["isolated"] = (*told.get(), len(events))
for name, (page, failure, count) in seen.items():
    print(f"{name}: {page}, {failure}, events {count}")
assert seen == {"main": ("page", "LookupError", 1), "isolated": ("page", "RuntimeError", 0)}
isolated.close()
PY
