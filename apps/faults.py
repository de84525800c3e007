"""What `make faults` asks of a server: a short wait, a large answer, an upload, a chatty request.

`/sleep` waits 5 ms, so eight request threads can do 1,600 of these a second; `/fast` does not wait; `/pid` names the process that
answers, after a wait long enough for others to be asked meanwhile.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

SECONDS = {"/sleep": 0.005, "/pid": 0.05}
LARGE = b"x" * (4 << 20)


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    path = environ["PATH_INFO"]
    if seconds := SECONDS.get(path):
        time.sleep(seconds)
    body = b"done"
    if path == "/large":
        body = LARGE
    elif path == "/pid":
        body = str(os.getpid()).encode()
    elif path == "/upload":
        while environ["wsgi.input"].read(1 << 16):
            pass
    elif path == "/chatty":
        print("said by the application: " + "x" * 1000, file=sys.stderr, flush=True)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
