"""wsgi.input: every call of PEP 3333 with every kind of argument, on bodies of every shape."""

from __future__ import annotations

import json
import time
from typing import Any

import client
import pytest
from differs import differs
from harness import Server

LINES = b"first\nsecond line\n\nlast without newline"
L = LINES.decode()
BIG = bytes(range(256)) * 512


def run(server: Server, steps: str, body: bytes | None = LINES, **given: Any) -> list[Any]:
    return server.ask(f"/input?do={steps}", "POST", body=body, **given).json


CASES: list[tuple[str, list[Any]]] = [
    ("read", [L]),
    ("read,read", [L, ""]),
    ("read:-1", [L]),
    ("read:0", [""]),
    ("read:2,read", [L[:2], L[2:]]),
    ("read:2,read:3,read", [L[:2], L[2:5], L[5:]]),
    ("read:1000", [L]),
    ("read:1000,read:1", [L, ""]),
    ("readline", ["first\n"]),
    ("readline,readline,readline,readline,readline", ["first\n", "second line\n", "\n", "last without newline", ""]),
    ("readline:3,readline,readline", ["fir", "st\n", "second line\n"]),
    ("readline:100", ["first\n"]),
    ("readline:-1", ["first\n"]),
    ("readline:0,readline", ["", "first\n"]),
    ("readline:6,readline", ["first\n", "second line\n"]),
    ("readlines", [["first\n", "second line\n", "\n", "last without newline"]]),
    ("readlines:0", [["first\n", "second line\n", "\n", "last without newline"]]),
    ("readlines,readlines", [["first\n", "second line\n", "\n", "last without newline"], []]),
    ("iter", [["first\n", "second line\n", "\n", "last without newline"]]),
    ("iter,read", [["first\n", "second line\n", "\n", "last without newline"], ""]),
    ("next,next,read", ["first\n", "second line\n", "\nlast without newline"]),
    ("next,next,next,next,next", ["first\n", "second line\n", "\n", "last without newline", "StopIteration"]),
    ("readline,read", ["first\n", L[6:]]),
    ("read:3,readline", ["fir", "st\n"]),
    ("read:3,iter", ["fir", ["st\n", "second line\n", "\n", "last without newline"]]),
    ("readline,readlines", ["first\n", ["second line\n", "\n", "last without newline"]]),
    ("read:5,readline,readline:4,read:2,readlines", ["first", "\n", "seco", "nd", [" line\n", "\n", "last without newline"]]),
]


@pytest.mark.parametrize(("steps", "expected"), CASES, ids=[steps for steps, _ in CASES])
def test_with_a_length(server: Server, steps: str, expected: list[Any]) -> None:
    assert run(server, steps) == expected


@pytest.mark.parametrize(("steps", "expected"), CASES, ids=[steps for steps, _ in CASES])
def test_chunked(server: Server, steps: str, expected: list[Any]) -> None:
    body = client.chunked(LINES[:3], LINES[3:4], LINES[4:20], LINES[20:])
    assert run(server, steps, body, headers={"Transfer-Encoding": "chunked"}) == expected


EMPTY = [("read", [""]), ("read:5", [""]), ("readline", [""]), ("readlines", [[]]), ("iter", [[]]), ("next", ["StopIteration"])]


@pytest.mark.parametrize(("steps", "expected"), EMPTY, ids=[steps for steps, _ in EMPTY])
@pytest.mark.parametrize("kind", ["none", "empty", "chunked"])
def test_no_body(server: Server, steps: str, expected: list[Any], kind: str) -> None:
    if kind == "chunked":
        assert run(server, steps, client.chunked(), headers={"Transfer-Encoding": "chunked"}) == expected
    else:
        assert run(server, steps, b"" if kind == "empty" else None) == expected


def test_a_number_that_is_none(server: Server) -> None:
    expected = differs("wsgi.input with None as size", ours=[L], mod_wsgi=["TypeError"])
    assert run(server, "read:None") == expected


def test_a_hint_on_readlines(server: Server) -> None:
    seen = run(server, "readlines:3,readlines")
    assert sum(seen, []) == LINES.decode().splitlines(keepends=True)
    assert seen[0][0] == "first\n"


@pytest.mark.parametrize("size", [1, 4095, 4096, 4097, 65535, 65536, 65537, 300_000, 1_500_000])
@pytest.mark.parametrize("kind", ["length", "chunked"])
def test_comes_back_whole(server: Server, size: int, kind: str) -> None:
    body = (BIG * (size // len(BIG) + 1))[:size]
    if kind == "chunked":
        blocks = [body[at : at + 10_007] for at in range(0, size, 10_007)]
        answer = server.ask("/echo", "POST", headers={"Transfer-Encoding": "chunked"}, body=client.chunked(*blocks))
    else:
        answer = server.ask("/echo", "POST", body=body)
    assert answer.status == 200 and answer.body == body


def test_long_lines_stop_at_the_newline(server: Server) -> None:
    """Past the size of any buffer: nothing of the next line comes with the first."""
    body = b"a" * 9000 + b"\n" + b"b" * 9000 + b"\nc"
    assert run(server, "readline,readline,readline", body) == ["a" * 9000 + "\n", "b" * 9000 + "\n", "c"]
    assert run(server, "readline:4096,readline,read:1", body) == ["a" * 4096, "a" * 4904 + "\n", "b"]


def test_chunk_extensions_and_trailers(server: Server) -> None:
    body = b'3;name=value\r\nabc\r\n2;x="y"\r\nde\r\n0\r\nX-Trailer: 1\r\n\r\n'
    assert run(server, "read", body, headers={"Transfer-Encoding": "chunked"}) == ["abcde"]


@pytest.mark.parametrize(("blocks", "length"), [((b"abc", b"defg"), "7"), ((), "0")])
def test_the_length_of_a_chunked_body(server: Server, blocks: tuple[bytes, ...], length: str) -> None:
    """Reported: Django, Falcon and others read nothing of a chunked body; `git push` above 1 MiB failed."""
    body = client.chunked(*blocks)[:-2] + b"X-T: 1\r\n\r\n"
    headers = {"Transfer-Encoding": "chunked", "Trailer": "X-T"}
    seen = server.ask("/environ", "POST", headers=headers, body=body).json["values"]
    keys = ["CONTENT_LENGTH", "HTTP_TRANSFER_ENCODING", "HTTP_TRAILER"]
    theirs = [None, "chunked", "X-T"]
    assert [seen.get(key) for key in keys] == differs("CONTENT_LENGTH of a chunked body", ours=[length, None, None], mod_wsgi=theirs)
    assert "HTTP_X_T" not in seen and seen["wsgi.input_terminated"] is True


@pytest.mark.parametrize("size", [len(LINES), 400_000])
@pytest.mark.parametrize("kind", ["length", "chunked"])
def test_as_a_file(server: Server, size: int, kind: str) -> None:
    """Reported: Zope's PUT was a 500. It asks for the size with seek() and tell(), and then reads."""
    body = (LINES * (size // len(LINES) + 1))[:size]
    if kind == "chunked":
        seen = server.ask("/input-file", "POST", headers={"Transfer-Encoding": "chunked"}, body=client.chunked(body)).json
    else:
        seen = server.ask("/input-file", "POST", body=body).json
    text = body.decode("latin-1")
    ours = {"size": size, "closed": False, "buffered": text, "text": text, "again": text}
    assert seen == differs("wsgi.input as a file", ours=ours, mod_wsgi=dict.fromkeys(ours, "AttributeError"))


def test_hexadecimal_chunk_sizes(server: Server) -> None:
    body = b"A\r\n0123456789\r\n00b\r\n0123456789a\r\n0\r\n\r\n"
    assert run(server, "read", body, headers={"Transfer-Encoding": "chunked"}) == ["01234567890123456789a"]


def test_the_next_request_is_not_read(server: Server) -> None:
    with server.connect() as connection:
        connection.send(client.message("POST", "/echo", body=b"one") + client.message("POST", "/echo", body=b"two"))
        assert [connection.response().body, connection.response().body] == [b"one", b"two"]


@pytest.mark.parametrize("size", [10, 100_000])
def test_an_unread_body_does_not_spoil_the_connection(server: Server, size: int) -> None:
    with server.connect() as connection:
        connection.send(client.message("POST", "/unread", body=b"GET /evil HTTP/1.1\r\n"[:10] * (size // 10)))
        assert connection.response().body == b"unread"
        connection.send(client.message("GET", "/single"))
        assert connection.response().body == b"exactly one block"


def test_an_unread_chunked_body_does_not_spoil_the_connection(server: Server) -> None:
    with server.connect() as connection:
        connection.send(client.message("POST", "/unread", {"Transfer-Encoding": "chunked"}, client.chunked(b"abc" * 100)))
        assert connection.response().body == b"unread"
        connection.send(client.message("GET", "/single"))
        assert connection.response().body == b"exactly one block"


def test_a_slow_body_arrives(server: Server) -> None:
    with server.connect() as connection:
        connection.send(client.message("POST", "/echo", {"Content-Length": "6"}))
        for byte in b"abcdef":
            connection.send(bytes([byte]))
        assert connection.response().body == b"abcdef"


def test_continue_is_said_once(server: Server) -> None:
    with server.connect() as connection:
        connection.send(client.message("POST", "/echo", {"Content-Length": "3", "Expect": "100-continue"}))
        assert connection.head().status == 100
        connection.send(b"abc")
        answer = connection.response()
        assert (answer.status, answer.body, answer.interim) == (200, b"abc", [])


def test_a_body_that_never_comes_whole_is_no_whole_body(server: Server) -> None:
    """The client goes away in mid-upload: the application is never told that this was all."""
    answer = server.raw(client.message("POST", "/count", {"Content-Length": "100"}) + b"only some", half_close=True)
    assert json.dumps({"length": 9}) not in answer.decode("latin-1")
    assert client.statuses(answer) in ([], [400], [408], [500])
    assert server.ask("/single").status == 200


def test_the_binary_side_of_wsgi_errors(server: Server) -> None:
    """Reported: writelines() was missing."""
    server.mark_log()
    assert server.ask("/errors-buffer?text=to-the-buffer").json == ["3", "3", "None", "None", "[1, 2]", "[1, 2]"]
    server.wait_log("bytes bytearray memoryview to-the-buffer")
    server.wait_log("written: to-the-buffer")


def test_descriptors_of_the_log(server: Server) -> None:
    """Reported: faulthandler.enable() and subprocess.run(stderr=sys.stderr) failed."""
    server.mark_log()
    seen = server.ask("/errors-fileno?text=a-descriptor").json
    ours = {"errors": 2, "stderr": 2, "stdout": 1}
    assert seen == differs("fileno() of the log's streams", ours=ours, mod_wsgi=dict.fromkeys(ours, "OSError"))
    if seen == ours:
        for name in ours:
            server.wait_log(f"past {name}: a-descriptor")


@pytest.mark.only("ours", "Apache asks for the zone again with each new second, so its lines move, too")
def test_the_log_is_in_one_time_zone(server: Server) -> None:
    """Reported: an application that sets TZ moved the times of its process's lines."""
    server.mark_log()
    server.ask("/zone?tz=UTC-9:15&text=far-east")
    server.ask("/zone?tz=UTC9:15&text=far-west")
    stamps = []
    for words in ("far-east", "far-west"):
        found = server.wait_log(rf"\[\w+ (\w+ \d+ [\d:]+)\.\d+ (\d+)\][^\n]*{words}")
        stamps.append(time.mktime(time.strptime(f"{found[1]} {found[2]}", "%b %d %H:%M:%S %Y")))
    assert max(abs(stamp - time.time()) for stamp in stamps) < 600


def test_ended_requests_are_ended(server: Server) -> None:
    server.ask("/keep", "POST", body=b"abc")
    seen = server.ask("/use-kept").json
    late = differs("wsgi.errors after the request", ours="nothing", mod_wsgi="RuntimeError")
    assert seen == {"input": "RuntimeError", "errors": late, "start": "RuntimeError"}
