#!/usr/bin/env bash
# Apache 2.4.71's mod_deflate in front of an application: no browser's If-None-Match ever matches again.
#
# Compressing changes the tag `"1"` to `"1-gzip"`, so that the two forms of a page differ. The browser sends `"1-gzip"` back, and
# Apache passes it to the application as it is, which knows only `"1"`: the page is built and sent in full each time, and the
# cache hit rate is zero while every part works by its own tests. `DeflateAlterETag NoChange` brings the 304 back.
#
# Seen:  sent "1-gzip" -> the application gets "1-gzip", 200    DeflateAlterETag NoChange: "1" -> the application gets "1", 304
set -euo pipefail
. "$(dirname "$0")/shared/apache.bash"

export backend
backend=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
configure filter deflate proxy proxy_http <<CONF
SetOutputFilter DEFLATE
ProxyPass / http://127.0.0.1:$backend/
<VirtualHost *:$port>
    ServerName site.example
</VirtualHost>
<VirtualHost *:$port>
    ServerName same.example
    DeflateAlterETag NoChange
</VirtualHost>
CONF
cat >ask.py <<'PY'
import os
import threading
from wsgiref.simple_server import WSGIRequestHandler, make_server

from client import ask

got = []


def application(environ, start_response):
    got.append(environ.get("HTTP_IF_NONE_MATCH"))
    known = got[-1] == '"1"'
    start_response("304 Not Modified" if known else "200 OK", [("Content-Type", "text/html"), ("ETag", '"1"')])
    return [] if known else [b"<p>page</p>" * 100]


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass


peer = make_server("127.0.0.1", int(os.environ["backend"]), application, handler_class=Quiet)
threading.Thread(target=peer.serve_forever, daemon=True).start()


def visit(host, condition=""):
    answer = ask(f"GET / HTTP/1.0\r\nHost: {host}\r\nAccept-Encoding: gzip\r\n{condition}\r\n".encode())
    lines = answer.partition(b"\r\n\r\n")[0].decode().split("\r\n")
    return lines[0].split()[1], next(line.partition(": ")[2] for line in lines if line.startswith("ETag"))


seen = {}
for host in ("site.example", "same.example"):
    tag = visit(host)[1]
    status = visit(host, f"If-None-Match: {tag}\r\n")[0]
    seen[host] = (tag, got[-1], status)
    print(f"{host}: sent {tag} -> the application gets {got[-1]}, {status}")
assert seen == {"site.example": ('"1-gzip"', '"1-gzip"', "200"), "same.example": ('"1"', '"1"', "304")}
PY
observe "$httpd" -X -f "$work/httpd.conf"
