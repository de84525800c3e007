"""The host whose access log has the line of a request that the server refuses."""

from __future__ import annotations

import subprocess

import pytest
from differs import differs
from harness import Server, until

LONG = differs("Status for header limits", ours=431, mod_wsgi=400)
NAMED = "Host: second.example\r\n"
# The host that is named, where the head was understood; else the first one of the address.
OF_HTTP_1 = {
    "a method that no host allows": (f"TRACE / HTTP/1.1\r\n{NAMED}\r\n", 405, "second.example 405"),
    "about the server": (f"OPTIONS * HTTP/1.1\r\n{NAMED}\r\n", 200, "second.example 200"),
    "a path that is refused": (f"GET /a%2Fb HTTP/1.1\r\n{NAMED}\r\n", 404, "second.example 404"),
    "a long field": (f"GET / HTTP/1.1\r\n{NAMED}X: {'y' * 9000}\r\n\r\n", LONG, f"first.example {LONG}"),
    "a long line": (f"GET /{'y' * 9000} HTTP/1.1\r\n{NAMED}\r\n", 414, "first.example 414"),
    "a malformed length": (f"POST / HTTP/1.1\r\n{NAMED}Content-Length: 1x\r\n\r\n", 400, "first.example 400"),
    "no host": ("GET / HTTP/1.1\r\n\r\n", 400, "first.example 400"),
}
OF_HTTP_2 = {
    "a method that no host allows": (["-X", "TRACE"], 405, "second.example 405"),
    "a long field": (["-H", f"X: {'y' * 9000}"], 431, "first.example 431"),
    "a path that is refused": (["--path-as-is"], 404, "second.example 404"),
}


def lines(server: Server) -> list[str]:
    log = server.root / "hosts.log"
    return log.read_text().splitlines() if log.exists() else []


@pytest.mark.parametrize("what", OF_HTTP_1)
def test_a_refused_request(server: Server, what: str) -> None:
    request, status, line = OF_HTTP_1[what]
    before = len(lines(server))
    with server.connect() as connection:
        connection.send(request.encode())
        assert connection.response().status == status
    until(lambda: len(lines(server)) > before, "a line")
    assert lines(server)[before:] == [line]


@pytest.mark.parametrize("what", OF_HTTP_2)
def test_a_refused_request_of_http_2(server: Server, what: str) -> None:
    given, status, line = OF_HTTP_2[what]
    before = len(lines(server))
    url = f"http://127.0.0.1:{server.port}/{'a%2Fb' if status == 404 else ''}"
    command = ["curl", "-sS", "--max-time", "20", "--http2-prior-knowledge", "-H", "Host: second.example", *given, url]
    told = subprocess.run([*command, "-o", "/dev/null", "-w", "%{http_code}"], capture_output=True, text=True, timeout=60)
    assert told.stdout == str(status), told.stderr
    until(lambda: len(lines(server)) > before, "a line")
    assert lines(server)[before:] == [line]
