"""What RFC 9113 asks of the beginning, of header blocks and of streams (sections 3 to 5)."""

from __future__ import annotations

from http2_cases import (
    CANCEL,
    CLOSED,
    COMPRESSION,
    CONTINUATION,
    DATA,
    FRAME,
    HEADERS,
    PING,
    PRIORITY,
    PROTOCOL,
    REFUSED,
    RST_STREAM,
    SETTINGS,
    SIZE,
    STREAMS,
    WINDOW,
    WINDOW_UPDATE,
    alive,
    case,
    ended,
    ends,
    refused,
    several,
)
from http2_wire import PREFACE, Ended, Wire, literal, raw, request
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

# === 3 and 4: the beginning, frames, header blocks ===


@case("3.4", "a wrong preface ends the connection", quiet=True)
def _(wire: Wire) -> None:
    wire.send(b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n" + bytes(9))
    wire.rest = b""
    try:
        while wire.socket.recv(1 << 16):
            pass
    except ConnectionResetError:
        # It has not read all of it.
        pass


@case("3.4", "settings come first", quiet=True)
def _(wire: Wire) -> None:
    wire.send(PREFACE, SettingsFrame(0))
    first = wire.next()
    assert isinstance(first, SettingsFrame) and "ACK" not in first.flags, first


@case("3.4", "another frame than SETTINGS behind the preface", quiet=True)
def _(wire: Wire) -> None:
    wire.send(PREFACE, PingFrame(0, bytes(8)))
    ended(wire, PROTOCOL)


@case("4.1", "a frame of an unknown type is passed over")
def _(wire: Wire) -> None:
    wire.send(raw(0x77, 0xFF, 0, b"anything"), raw(0x78, 0, 1, b""))
    wire.ping()
    alive(wire, 1)


@case("4.1", "flags that are not defined are passed over")
def _(wire: Wire) -> None:
    wire.send(raw(PING, 0x16, 0, b"abcdefgh"))
    wire.until(lambda frame: isinstance(frame, PingFrame) and frame.opaque_data == b"abcdefgh")
    block = wire.headers(1, request()).data
    wire.send(raw(HEADERS, 0x5 | 0x10 | 0x40 | 0x80, 1, block))
    assert wire.status(1) == 200


@case("4.1", "the reserved bit of a stream's number is passed over")
def _(wire: Wire) -> None:
    block = wire.headers(1, request()).data
    wire.send(raw(HEADERS, 0x5, 1 | 1 << 31, block))
    assert wire.status(1) == 200


@case("4.2", "frames of 16384 bytes are taken")
def _(wire: Wire) -> None:
    wire.send(wire.headers(1, request("/body/length", "POST"), end=False), wire.data(1, b"x" * 16384))
    assert wire.status(1) == 200


@case("4.2", "a DATA frame that is too large")
def _(wire: Wire) -> None:
    size = wire.settings.get(FRAME, 16384) + 1
    if size == 1 << 24:
        # It takes the largest that there are.
        return
    wire.send(wire.headers(1, request("/body/length", "POST"), end=False), wire.data(1, b"x" * size))
    refused(wire, 1, SIZE)


@case("4.2", "a HEADERS frame that is too large")
def _(wire: Wire) -> None:
    size = wire.settings.get(FRAME, 16384) + 1
    if size == 1 << 24:
        return
    wire.send(raw(HEADERS, 0x5, 1, b"\0" * size))
    ended(wire, SIZE)


@case("4.3", "a header block that cannot be decoded")
def _(wire: Wire) -> None:
    wire.send(wire.headers(1, b"\xff\xff\xff\xff\xff\xff"))
    ended(wire, COMPRESSION, PROTOCOL)


several(
    "4.3",
    "within a header block",
    {
        "PRIORITY": PriorityFrame(1, 0, 15, False),
        "DATA": DataFrame(1, b"x"),
        "PING": PingFrame(0, bytes(8)),
        "HEADERS of another stream": HeadersFrame(3, literal(request()), flags=["END_HEADERS", "END_STREAM"]),
        "CONTINUATION of another stream": ContinuationFrame(3, b"", flags=["END_HEADERS"]),
        "a frame of an unknown type": raw(0x77, 0, 0, b""),
    },
    ends(PROTOCOL, before=lambda wire: wire.headers(1, request(), whole=False)),
)


# === 5: streams ===

several(
    "5.1",
    "on a stream that was not begun",
    {
        "DATA": DataFrame(1, b"x", flags=["END_STREAM"]),
        "RST_STREAM": RstStreamFrame(1, CANCEL),
        "WINDOW_UPDATE": WindowUpdateFrame(1, 100),
        "CONTINUATION": ContinuationFrame(1, literal(request()), flags=["END_HEADERS"]),
    },
    ends(PROTOCOL),
)


@case("5.1", "PRIORITY on a stream that was not begun is taken")
def _(wire: Wire) -> None:
    wire.send(PriorityFrame(5, 0, 15, False))
    alive(wire, 1)



def on_complete(wire: Wire, frame: bytes) -> None:
    wire.send(wire.headers(1, request("/sleep?0.3")), frame)
    refused(wire, 1, CLOSED, PROTOCOL)


several(
    "5.1",
    "on a stream whose request is complete",
    {
        "DATA": raw(DATA, 0x1, 1, b"x"),
        "HEADERS": raw(HEADERS, 0x5, 1, literal(request())),
        "CONTINUATION": raw(CONTINUATION, 0x4, 1, literal(request())),
    },
    on_complete,
)


def on_reset(wire: Wire, frame: bytes) -> None:
    """A server may pass over what was on its way when it heard of the reset."""
    wire.send(wire.headers(1, request("/tiny", "POST"), end=False), RstStreamFrame(1, CANCEL), frame)
    wire.send(PingFrame(0, b"passed by"[:8]))
    try:
        wire.until(lambda frame: isinstance(frame, PingFrame))
    except Ended as end:
        assert end.code in (None, CLOSED, PROTOCOL), f"GOAWAY {end.code}"
        return
    resets = [frame.error_code for frame in wire.seen if isinstance(frame, RstStreamFrame)]
    assert set(resets) <= {CLOSED}, resets
    assert not [frame for frame in wire.seen if isinstance(frame, HeadersFrame)]
    alive(wire, 3)


several(
    "5.1",
    "on a stream that its client has reset",
    {"DATA": raw(DATA, 0x1, 1, b"x"), "HEADERS": raw(HEADERS, 0x5, 1, literal(request()))},
    on_reset,
)


@case("5.1", "on a stream that has ended: HEADERS")
def _(wire: Wire) -> None:
    wire.send(wire.headers(1, request()))
    wire.body(1)
    wire.send(wire.headers(1, request()))
    refused(wire, 1, CLOSED, PROTOCOL)


@case("5.1", "on a stream that has ended: WINDOW_UPDATE, RST_STREAM and PRIORITY are taken")
def _(wire: Wire) -> None:
    wire.send(wire.headers(1, request()))
    wire.body(1)
    wire.send(WindowUpdateFrame(1, 10), RstStreamFrame(1, CANCEL), PriorityFrame(1, 0, 15, False))
    alive(wire, 3)


@case("5.1.1", "an even number of a stream")
def _(wire: Wire) -> None:
    wire.send(wire.headers(2, request()))
    ended(wire, PROTOCOL)


@case("5.1.1", "a number below that of an earlier stream")
def _(wire: Wire) -> None:
    wire.send(wire.headers(5, request()))
    assert wire.status(5) == 200
    wire.send(wire.headers(3, request()))
    ended(wire, PROTOCOL, CLOSED)


@case("5.1.2", "more requests at once than allowed")
def _(wire: Wire) -> None:
    most = wire.settings.get(STREAMS)
    assert most is not None, "it allows any number"
    for number in range(most + 1):
        wire.send(wire.headers(2 * number + 1, request("/body/length", "POST"), end=False))
    try:
        frame = wire.until(lambda frame: isinstance(frame, RstStreamFrame))
    except Ended as end:
        assert end.code in (None, PROTOCOL), f"GOAWAY {end.code}"
        return
    assert isinstance(frame, RstStreamFrame) and frame.stream_id == 2 * most + 1 and frame.error_code in (REFUSED, PROTOCOL), frame


@case("5.2.2", "a stream that is not read does not hold up another", settings={WINDOW: 0})
def _(wire: Wire) -> None:
    wire.send(wire.headers(1, request("/large?100000")), wire.headers(3, request()))
    for _ in range(2):
        wire.until(lambda frame: isinstance(frame, HeadersFrame))
    wire.send(WindowUpdateFrame(3, 100))
    frame = wire.until(lambda frame: isinstance(frame, DataFrame))
    assert frame.stream_id == 3


@case("5.4.1", "an error of the connection closes it")
def _(wire: Wire) -> None:
    wire.send(PingFrame(0, bytes(8)), raw(PING, 0, 1, bytes(8)))
    ended(wire, PROTOCOL)


@case("5.4.2", "an error of a stream does not end the others")
def _(wire: Wire) -> None:
    wire.send(wire.headers(1, request("/sleep?0.3")), wire.headers(3, literal([(":method", "GET")])))
    refused(wire, 3, PROTOCOL)
    assert any(frame.stream_id == 1 and isinstance(frame, HeadersFrame) for frame in wire.seen) or wire.status(1) == 200
