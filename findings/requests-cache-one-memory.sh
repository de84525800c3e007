#!/usr/bin/env bash
# requests-cache 1.3.3: sessions with names of their own and use_memory=True are one cache, in all interpreters of the process.
#
# `CachedSession("prices", backend="sqlite", use_memory=True)` looks like a private store with a name. The name is not used: each such session
# opens SQLite's `file::memory:?cache=shared`, and SQLite keeps that once for a process, below Python. So two clients of one API find each
# other's answers, one's clear() empties the other's, and of two sites in two sub-interpreters, even with a GIL of their own, one is
# handed what the other had fetched. backend="memory" is private, and so is a file. The same holds for any library or framework that
# opens a shared memory database under a fixed name.
#
# Seen with CPython 3.14.7:  another name: answer 1, from the cache    another interpreter: answer 1, from the cache
#                            after its clear(): answer 2    backend="memory": answer 3, answer 4
set -euo pipefail
. "$(dirname "$0")/shared/venv.bash"

install_into venv "$(cpython 3.14)" requests-cache==1.3.3 requests==2.34.2
venv/bin/python - <<'PY'
import threading
from concurrent import interpreters
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count

from requests_cache import CachedSession

numbers = count(1)


class Answers(BaseHTTPRequestHandler):
    def do_GET(self):
        body = f"answer {next(numbers)}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}/"


def get(session):
    response = session.get(url)
    return response.text, response.from_cache


NEIGHBOUR = """
from requests_cache import CachedSession
session = CachedSession("neighbour", backend="sqlite", use_memory=True)
response = session.get({url!r})
seen.put((response.text, response.from_cache))
if {clear}:
    session.cache.clear()
"""


def neighbour(clear):
    """What a site in another interpreter, with its own GIL, is given."""
    site, seen = interpreters.create(), interpreters.create_queue()
    site.prepare_main(seen=seen)
    site.exec(NEIGHBOUR.format(url=url, clear=clear))
    # What an interpreter has put into a queue goes away with it.
    told = seen.get()
    site.close()
    return told


mine = CachedSession("prices", backend="sqlite", use_memory=True)
assert get(mine) == ("answer 1", False)
seen = [get(CachedSession("stock", backend="sqlite", use_memory=True)), neighbour(clear=True), get(mine)]
private = [get(CachedSession(name, backend="memory")) for name in ("prices", "stock")]
print("another name, another interpreter, after its clear():", seen, "   memory:", private)
assert seen == [("answer 1", True), ("answer 1", True), ("answer 2", False)], seen
assert private == [("answer 3", False), ("answer 4", False)], private
PY
