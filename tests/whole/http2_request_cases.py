"""What RFC 9113 asks of requests and responses (section 8), and RFC 7541 of header compression."""

from __future__ import annotations

from http2_cases import COMPRESSION, HEADERS, NO_ERROR, PROTOCOL, alive, case, ends, refused, several
from http2_wire import Fields, Wire, literal, request
from hyperframe.frame import HeadersFrame, RstStreamFrame

# === 8: requests ===


def malformed(wire: Wire, block: Fields) -> None:
    wire.send(wire.headers(1, literal(block)))
    refused(wire, 1, PROTOCOL)


def wrong_length(wire: Wire, row: tuple[str, list[bytes]]) -> None:
    length, pieces = row
    wire.send(wire.headers(1, request("/body/length", "POST", content_length=length), end=not pieces))
    wire.send(*[wire.data(1, piece, end=number == len(pieces) - 1) for number, piece in enumerate(pieces)])
    refused(wire, 1, PROTOCOL)


several(
    "8.1.1",
    "a body that is not as long as its content-length",
    {
        "too short": ("5", [b"1234"]),
        "too long": ("5", [b"123456"]),
        "in two frames": ("5", [b"12", b"34"]),
        "none": ("5", []),
        "no number": ("x", [b"1"]),
    },
    wrong_length,
)


@case("8.1", "trailers are taken")
def _(wire: Wire) -> None:
    wire.send(wire.headers(1, request("/body/length", "POST", te="trailers"), end=False), wire.data(1, b"12345", end=False))
    wire.send(wire.headers(1, [("x-checksum", "1")]))
    assert wire.status(1) == 200 and wire.body(1) == b"5"


@case("8.1", "a second HEADERS frame that does not end the request")
def _(wire: Wire) -> None:
    wire.send(wire.headers(1, request("/body/length", "POST"), end=False), wire.headers(1, [("x", "1")], end=False))
    refused(wire, 1, PROTOCOL)


@case("8.1", "trailers with a pseudo-header field")
def _(wire: Wire) -> None:
    wire.send(wire.headers(1, request("/body/length", "POST"), end=False), wire.headers(1, literal([(":method", "GET")])))
    refused(wire, 1, PROTOCOL)


@case("8.1", "an answer before the body has come ends with a reset without an error")
def _(wire: Wire) -> None:
    wire.send(wire.headers(1, request("/none%2Fsuch", "POST"), end=False))
    assert wire.status(1) == 404
    frame = wire.until(lambda frame: isinstance(frame, RstStreamFrame))
    assert isinstance(frame, RstStreamFrame) and (frame.stream_id, frame.error_code) == (1, NO_ERROR)
    alive(wire, 3)


several(
    "8.2.1",
    "a field that is not allowed",
    {
        "an upper-case name": ("X-A", "1"),
        "a space in a name": ("x a", "1"),
        "a colon in a name": ("x:a", "1"),
        "a control character in a name": ("x\x01", "1"),
        "a line feed in a value": ("x", "1\n2"),
        "a carriage return in a value": ("x", "1\r2"),
        "a zero in a value": ("x", "1\x002"),
    },
    lambda wire, field: malformed(wire, [*request(), field]),
)

several(
    "8.2.2",
    "a field of connections",
    {
        "connection": ("connection", "close"),
        "keep-alive": ("keep-alive", "1"),
        "proxy-connection": ("proxy-connection", "1"),
        "transfer-encoding": ("transfer-encoding", "chunked"),
        "upgrade": ("upgrade", "h2c"),
        "te": ("te", "gzip"),
    },
    lambda wire, field: malformed(wire, [*request(), field]),
)


@case("8.2.3", "several cookies are one")
def _(wire: Wire) -> None:
    wire.send(wire.headers(1, [*request("/environ"), ("cookie", "a=1"), ("cookie", "b=2")]))
    assert wire.status(1) == 200 and b'"HTTP_COOKIE": "a=1; b=2"' in wire.body(1)


def without(name: str) -> list[tuple[str, str]]:
    return [field for field in request() if field[0] != name]


several(
    "8.3",
    "pseudo-header fields",
    {
        "an unknown one": [*request(), (":x", "1")],
        "one of responses": [*request(), (":status", "200")],
        "behind a field": [request()[0], ("x", "1"), *request()[1:]],
        ":method twice": [request()[0], *request()],
        ":scheme twice": [request()[1], *request()],
        ":path twice": [request()[2], *request()],
        ":authority twice": [request()[3], *request()],
        ":method missing": without(":method"),
        ":scheme missing": without(":scheme"),
        ":path missing": without(":path"),
        ":path empty": [*without(":path"), (":path", "")],
        ":path without a slash": [*without(":path"), (":path", "tiny")],
        ":authority and Host that differ": [*request(), ("host", "example.org")],
        "a user in :authority": [*without(":authority"), (":authority", "me@localhost")],
        "neither :authority nor Host": without(":authority"),
    },
    malformed,
)


@case("8.3.1", "Host in the place of :authority is taken")
def _(wire: Wire) -> None:
    wire.send(wire.headers(1, [*without(":authority"), ("host", "localhost")]))
    assert wire.status(1) == 200


several(
    "8.5",
    "CONNECT",
    {
        "with :scheme and :path": [(":method", "CONNECT"), *request()[1:]],
        "without :authority": [(":method", "CONNECT")],
        "with a :protocol that was not offered": [(":method", "CONNECT"), *request()[1:], (":protocol", "websocket")],
    },
    malformed,
)


@case("8.1", "no response says anything about its connection")
def _(wire: Wire) -> None:
    for number, path in enumerate(("/tiny", "/none%2Fsuch", "/nothing")):
        wire.send(wire.headers(2 * number + 1, request(path)))
        frame = wire.until(lambda frame: isinstance(frame, HeadersFrame))
        names = [name for name, _ in frame.fields]  # type: ignore[attr-defined]
        assert names == [name.lower() for name in names] and names[0] == ":status"
        assert not {"connection", "keep-alive", "transfer-encoding", "upgrade", "te"} & set(names), names


@case("8.1", "a HEAD is answered without a body")
def _(wire: Wire) -> None:
    wire.send(wire.headers(1, request("/tiny", "HEAD")))
    frame = wire.until(lambda frame: isinstance(frame, HeadersFrame))
    assert "END_STREAM" in frame.flags or wire.body(1) == b""


# === RFC 7541: header compression ===

several(
    "7541",
    "a header block",
    {
        "an index of nothing (6.1)": b"\x80",
        "an index beyond the tables (2.3.3)": b"\xff\x00",
        "a name beyond the tables (2.3.3)": b"\x7f\x80\x01\x01x",
        "a table larger than allowed (6.3)": b"\x3f\xe1\xff\xff\x7f" + literal(request()),
        "a change of the table at its end (4.2)": literal(request()) + b"\x20",
        "an integer without an end (5.1)": b"\x7f" + b"\xff" * 12,
        "a text longer than the block (5.2)": b"\0\x05ab",
        "padding of a text that is too long (5.2)": b"\0\x81\xff\x01x" + b"\0\x01x\x85\xf2\xb2\x4a\x84\xff",
        "padding of zeros (5.2)": b"\0\x01x\x81\x00",
        "the end of a text within it (5.2)": b"\0\x01x\x84\xff\xff\xff\xfc",
    },
    lambda wire, block: ends(COMPRESSION, PROTOCOL)(wire, wire.headers(1, block)),
)


@case("7541", "a field of the dynamic table is known again (2.3.2)")
def _(wire: Wire) -> None:
    for number in range(3):
        wire.send(wire.headers(2 * number + 1, request("/environ", x_kept="value")))
        assert b'"HTTP_X_KEPT": "value"' in wire.body(2 * number + 1)
