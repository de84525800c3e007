#!/usr/bin/env bash
# mod_wsgi 6.1.1 and mod_http2 under Apache 2.4.71: an upload without a length arrives with no bytes, and the answer is 200.
#
# HTTP/2 frames a body by itself, so a client that streams one (a pipe, a file that still grows) sends no Content-Length. Over
# HTTP/1.1 the same upload would be chunked, and mod_wsgi with WSGIChunkedRequest On passes that on. Here the application reads
# an empty body: it has no CONTENT_LENGTH and nothing that says that there is one, also with that directive. A proxy in front
# that turns HTTP/1.1's chunks into HTTP/2 loses every such upload without a word.
#
# Seen:  HTTP/2 with a length -> 5 bytes    HTTP/2 without one -> 0 bytes    HTTP/1.1 in chunks -> 5 bytes
set -euo pipefail
. "$(dirname "$0")/shared/mod_wsgi.bash"
install_into h2 "$(cpython 3.14)" h2==4.3.0

cat >app.wsgi <<'PY'
def application(environ, start_response):
    body = environ["wsgi.input"].read()
    text = f"{len(body)} bytes, CONTENT_LENGTH {environ.get('CONTENT_LENGTH')}"
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(text)))])
    return [text.encode()]
PY
site http2 <<CONF
Protocols h2c http/1.1
WSGIChunkedRequest On
CONF
cat >post.py <<'PY'
import socket
import sys

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, ResponseReceived, StreamEnded


def post(fields):
    """Status and body of a POST of five bytes."""
    status, body = b"", b""
    with socket.create_connection(("127.0.0.1", int(sys.argv[1])), 10) as peer:
        http = H2Connection(H2Configuration(header_encoding=None))
        http.initiate_connection()
        http.send_headers(1, [(":method", "POST"), (":path", "/"), (":scheme", "http"), (":authority", "site.example"), *fields])
        http.send_data(1, b"12345", end_stream=True)
        peer.sendall(http.data_to_send())
        while True:
            for event in http.receive_data(peer.recv(65536)):
                if isinstance(event, ResponseReceived):
                    status = dict(event.headers)[b":status"]
                elif isinstance(event, DataReceived):
                    body += event.data
                elif isinstance(event, StreamEnded):
                    return f"{status.decode()} {body.decode()}"
            peer.sendall(http.data_to_send())


print(post([("content-length", "5")]))
print(post([]))
PY
cat >ask.py <<'PY'
import subprocess
import sys

from client import ask

ask(b"GET / HTTP/1.1\r\nHost: site.example\r\nConnection: close\r\n\r\n")  # The server listens.
two = subprocess.run(["h2/bin/python", "post.py", sys.argv[1]], capture_output=True, text=True, check=True)
length, none = two.stdout.splitlines()
chunked = ask(b"POST / HTTP/1.1\r\nHost: site.example\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\n12345\r\n0\r\n\r\n")
one = chunked.decode().partition("\r\n\r\n")[2]
print("HTTP/2 with a length ->", length)
print("HTTP/2 without one   ->", none)
print("HTTP/1.1 in chunks   ->", one)
assert length == "200 5 bytes, CONTENT_LENGTH 5", length
assert none.startswith("200 0 bytes"), none
assert one.startswith("5 bytes"), one
PY
observe "$httpd" -DFOREGROUND -f "$work/httpd.conf"
