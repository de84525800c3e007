"""Requests with an end that two parties could see in different places, and bytes that do not belong in a request.

The second request hidden behind each of these must never be answered as one of its own.
"""

from __future__ import annotations

import client
import pytest
from differs import differs
from harness import Server

HIDDEN = b"GET /status?line=299%20Smuggled HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def post(*headers: str, body: bytes = b"", target: str = "/echo") -> bytes:
    lines = [f"POST {target} HTTP/1.1", "Host: localhost", *headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


CHUNKED = "Transfer-Encoding: chunked"
END = b"0\r\n\r\n"

REFUSED: dict[str, bytes] = {
    "two lengths": post("Content-Length: 3", "Content-Length: 4", body=b"abc" + HIDDEN),
    "a list of lengths": post("Content-Length: 3, 4", body=b"abc" + HIDDEN),
    "a signed length": post("Content-Length: +3", body=b"abc" + HIDDEN),
    "a negative length": post("Content-Length: -1", body=b"abc" + HIDDEN),
    "a hexadecimal length": post("Content-Length: 0x3", body=b"abc" + HIDDEN),
    "a length with a space": post("Content-Length: 3 3", body=b"abc" + HIDDEN),
    "an empty length": post("Content-Length: ", body=HIDDEN),
    "a length past 64 bits": post("Content-Length: 99999999999999999999", body=HIDDEN),
    "a length with a letter": post("Content-Length: 3a", body=b"abc" + HIDDEN),
    "an unknown coding": post("Transfer-Encoding: xchunked", body=END + HIDDEN),
    "chunked not last": post("Transfer-Encoding: chunked, identity", body=END + HIDDEN),
    "chunked twice": post("Transfer-Encoding: chunked, chunked", body=END + HIDDEN),
    "a coding with a control byte": post("Transfer-Encoding: \x0bchunked", body=END + HIDDEN),
    "a space before the colon": post("Transfer-Encoding : chunked", body=END + HIDDEN),
    "a length with a space before the colon": post("Content-Length : 3", body=b"abc" + HIDDEN),
    "an empty chunk size": post(CHUNKED, body=b"\r\nabc\r\n" + END + HIDDEN),
    "a signed chunk size": post(CHUNKED, body=b"+3\r\nabc\r\n" + END + HIDDEN),
    "a chunk size with 0x": post(CHUNKED, body=b"0x3\r\nabc\r\n" + END + HIDDEN),
    "a chunk size of letters": post(CHUNKED, body=b"xyz\r\nabc\r\n" + END + HIDDEN),
    "a chunk size past 64 bits": post(CHUNKED, body=b"1" + b"0" * 16 + b"\r\nabc\r\n" + END + HIDDEN),
    "a chunk without its end": post(CHUNKED, body=b"3\r\nabcde\r\n" + END + HIDDEN),
    "a space before a header name": post(" Content-Length: 3", body=b"abc" + HIDDEN),
    "no colon": post("Content-Length 3", body=b"abc" + HIDDEN),
    "a NUL in a value": post("X-A: a\0b", body=HIDDEN),
    "a return in a value": post("X-A: a\rb", body=HIDDEN),
    "a control byte in a value": post("X-A: a\x01b", body=HIDDEN),
    "a NUL in a name": post("X\0A: b", body=HIDDEN),
    "an empty name": post(": b", body=HIDDEN),
    "a space in the target": b"GET /a b HTTP/1.1\r\nHost: localhost\r\n\r\n" + HIDDEN,
    "a tab after the method": b"GET\t/single HTTP/1.1\r\nHost: localhost\r\n\r\n" + HIDDEN,
    "a method with a control byte": b"GE\x01T /single HTTP/1.1\r\nHost: localhost\r\n\r\n" + HIDDEN,
    "no host": b"GET /single HTTP/1.1\r\n\r\n" + HIDDEN,
    "two hosts": b"GET /single HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n" + HIDDEN,
    "a host with a space": b"GET /single HTTP/1.1\r\nHost: a b\r\n\r\n" + HIDDEN,
    "a host with a slash": b"GET /single HTTP/1.1\r\nHost: a/b\r\n\r\n" + HIDDEN,
    "a host with a port of letters": b"GET /single HTTP/1.1\r\nHost: a:x\r\n\r\n" + HIDDEN,
    "a host with a comma": b"GET /single HTTP/1.1\r\nHost: a,b\r\n\r\n" + HIDDEN,
    "a relative target": b"GET single HTTP/1.1\r\nHost: localhost\r\n\r\n" + HIDDEN,
    "a TLS greeting": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 64 + b"\r\n\r\n",
}


@pytest.mark.parametrize("name", REFUSED)
def test_is_refused(server: Server, name: str) -> None:
    """One 4xx or 501 at most, then the connection ends, and what was hidden behind is never served."""
    data = server.raw(REFUSED[name], half_close=True)
    seen = client.statuses(data)
    assert 299 not in seen, "the hidden request was answered"
    assert len(seen) <= 1 and all(400 <= status < 500 or status == 501 for status in seen), seen


def test_length_and_chunked_together(server: Server) -> None:
    """RFC 9112 lets a server take the chunked framing, and then close; refusing is simpler to reason about."""
    data = server.raw(post("Content-Length: 4", CHUNKED, body=b"3\r\nabc\r\n" + END + HIDDEN), half_close=True)
    seen = client.statuses(data)
    assert 299 not in seen
    assert seen == differs("Content-Length and chunked together", ours=[400], mod_wsgi=[200])


LENIENT = {
    "a blank behind a size": (b"3 \r\nabc\r\n" + END, [200]),
    "a bare LF behind the last chunk": (b"3\r\nabc\r\n0\r\n\n", [500]),
}


@pytest.mark.parametrize("name", LENIENT)
def test_a_chunked_body_with(server: Server, name: str) -> None:
    body, theirs = LENIENT[name]
    seen = client.statuses(server.raw(post(CHUNKED, body=body + HIDDEN), half_close=True))
    assert seen == differs("Chunked bodies with blanks or bare line feeds", ours=[400], mod_wsgi=theirs)


def test_chunked_in_http_1_0(server: Server) -> None:
    request = b"POST /echo HTTP/1.0\r\nHost: localhost\r\n" + CHUNKED.encode() + b"\r\n\r\n" + END + HIDDEN
    seen = client.statuses(server.raw(request, half_close=True))
    assert seen == differs("Transfer-Encoding in HTTP/1.0", ours=[400], mod_wsgi=[200])


def test_a_folded_header(server: Server) -> None:
    """Where it is unfolded, what follows is an honest second request."""
    seen = client.statuses(server.raw(post("X-A: a", " b") + HIDDEN, half_close=True))
    assert seen == differs("Folded header lines", ours=[400], mod_wsgi=[200, 299])


def test_the_same_length_twice(server: Server) -> None:
    data = server.raw(post("Content-Length: 3", "Content-Length: 3", "Connection: close", body=b"abc"))
    assert client.statuses(data)[0] in (200, 400)


def test_asterisk_form(server: Server) -> None:
    data = server.raw(b"GET * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert client.statuses(data) == [400]


def test_asterisk_options(server: Server) -> None:
    data = server.raw(b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert client.statuses(data) == [200]


def test_connect(server: Server) -> None:
    data = server.raw(b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost:80\r\nConnection: close\r\n\r\n")
    assert client.statuses(data)[0] in (400, 404, 405, 501)


def test_the_server_goes_on(server: Server) -> None:
    assert server.ask("/single").body == b"exactly one block"
