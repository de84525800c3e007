#!/usr/bin/env bash
# Tornado 6.6.1's WSGIContainer closes the connection without an answer to HEAD of a Django 5.2.19 page.
#
# Django answers HEAD with the body of GET and leaves it to the server to drop the body. Tornado counts a HEAD's body as
# zero bytes and raises "Tried to write more data than Content-Length" before the head is out: no status line at all.
# Browsers see nothing of it; uptime checks, link checkers and load balancers that ask by HEAD report the site as down.
#
# Seen with CPython 3.11.7:  GET -> HTTP/1.1 200 OK    HEAD -> b''
set -euo pipefail
. "$(dirname "$0")/shared/server.bash"

install tornado==6.6.1 Django==5.2.19
cat >app.py <<'PY'
from django.conf import settings
from django.http import HttpResponse
from django.urls import path

settings.configure(ROOT_URLCONF="app", ALLOWED_HOSTS=["*"], SECRET_KEY="of no use", MIDDLEWARE=["django.middleware.common.CommonMiddleware"])
urlpatterns = [path("", lambda request: HttpResponse(b"page"))]
PY
cat >serve.py <<'PY'
import asyncio
import sys

import app  # noqa: F401 (its settings)
import tornado.httpserver
import tornado.wsgi
from django.core.wsgi import get_wsgi_application


async def main():
    tornado.httpserver.HTTPServer(tornado.wsgi.WSGIContainer(get_wsgi_application())).listen(int(sys.argv[1]), "127.0.0.1")
    await asyncio.Event().wait()


asyncio.run(main())
PY
cat >ask.py <<'PY'
from client import ask

seen = [ask(method + b" / HTTP/1.1\r\nHost: site.example\r\nConnection: close\r\n\r\n") for method in (b"GET", b"HEAD")]
print("GET ->", seen[0].split(b"\r\n")[0].decode())
print("HEAD ->", seen[1])
assert seen[0].startswith(b"HTTP/1.1 200 ") and seen[0].endswith(b"\r\n\r\npage")
assert seen[1] == b""
PY
observe venv/bin/python serve.py "$port"
grep -q "Tried to write more data than Content-Length" server.log
