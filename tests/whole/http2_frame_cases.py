"""What RFC 9113 asks of frames and windows (sections 6 and 7)."""

from __future__ import annotations

from http2_cases import (
    CONTINUATION,
    DATA,
    FLOW,
    FRAME,
    GOAWAY,
    HEADERS,
    MOST,
    PING,
    PRIORITY,
    PROTOCOL,
    PUSH,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    SIZE,
    WINDOW,
    WINDOW_UPDATE,
    alive,
    case,
    ended,
    ends,
    open_request,
    refused,
    several,
)
from http2_wire import Ended, Wire, literal, raw, request
from hyperframe.frame import ContinuationFrame, DataFrame, GoAwayFrame, PingFrame, RstStreamFrame, SettingsFrame, WindowUpdateFrame

# === 6: frames ===

several(
    "6",
    "on the connection itself, where a stream is needed",
    {
        "DATA": raw(DATA, 0x1, 0, b"x"),
        "HEADERS": raw(HEADERS, 0x5, 0, literal(request())),
        "PRIORITY": raw(PRIORITY, 0, 0, bytes(5)),
        "RST_STREAM": raw(RST_STREAM, 0, 0, bytes(4)),
        "CONTINUATION": raw(CONTINUATION, 0x4, 0, b""),
    },
    ends(PROTOCOL),
)

several(
    "6",
    "on a stream, where the connection is meant",
    {
        "SETTINGS": raw(SETTINGS, 0, 1, b""),
        "PING": raw(PING, 0, 1, bytes(8)),
        "GOAWAY": raw(GOAWAY, 0, 1, bytes(8)),
    },
    ends(PROTOCOL),
)

several(
    "6",
    "of a wrong size",
    {
        "RST_STREAM": raw(RST_STREAM, 0, 1, bytes(3)),
        "SETTINGS": raw(SETTINGS, 0, 0, bytes(3)),
        "SETTINGS that acknowledges something": raw(SETTINGS, 0x1, 0, bytes(6)),
        "PING": raw(PING, 0, 0, bytes(6)),
        "GOAWAY": raw(GOAWAY, 0, 0, bytes(7)),
        "WINDOW_UPDATE": raw(WINDOW_UPDATE, 0, 0, bytes(3)),
    },
    ends(SIZE, before=open_request),
)


@case("6.1", "padding as long as the frame")
def _(wire: Wire) -> None:
    wire.send(wire.headers(1, request("/body/length", "POST"), end=False), raw(DATA, 0x9, 1, b"\x06abcde"))
    ended(wire, PROTOCOL)


@case("6.1", "padding is taken off, and counts for the windows")
def _(wire: Wire) -> None:
    wire.send(wire.headers(1, request("/body/length", "POST"), end=False), raw(DATA, 0x9, 1, b"\x03abcde" + bytes(3)))
    assert wire.status(1) == 200 and wire.body(1) == b"5"


@case("6.2", "padding of HEADERS as long as the frame")
def _(wire: Wire) -> None:
    wire.send(raw(HEADERS, 0xD, 1, b"\x20" + literal(request())[:0x1F]))
    ended(wire, PROTOCOL)


@case("6.2", "HEADERS with padding and priority are taken")
def _(wire: Wire) -> None:
    wire.send(raw(HEADERS, 0x2D, 1, b"\x04" + bytes(4) + b"\x10" + literal(request()) + bytes(4)))
    assert wire.status(1) == 200


@case("6.3", "PRIORITY of a wrong size")
def _(wire: Wire) -> None:
    wire.send(wire.headers(1, request("/body/length", "POST"), end=False), raw(PRIORITY, 0, 1, bytes(4)))
    refused(wire, 1, SIZE)


@case("6.5", "SETTINGS are acknowledged")
def _(wire: Wire) -> None:
    wire.send(SettingsFrame(0, {WINDOW: 100}))
    wire.until(lambda frame: isinstance(frame, SettingsFrame) and "ACK" in frame.flags)



def wrong_setting(wire: Wire, row: tuple[int, ...]) -> None:
    setting, value, *codes = row
    wire.send(raw(SETTINGS, 0, 0, setting.to_bytes(2, "big") + value.to_bytes(4, "big")))
    ended(wire, *codes)


several(
    "6.5.2",
    "a setting with a wrong value",
    {
        "ENABLE_PUSH": (PUSH, 2, PROTOCOL),
        "INITIAL_WINDOW_SIZE": (WINDOW, MOST + 1, FLOW, PROTOCOL),
        "MAX_FRAME_SIZE too small": (FRAME, 16383, PROTOCOL),
        "MAX_FRAME_SIZE too large": (FRAME, 1 << 24, PROTOCOL),
    },
    wrong_setting,
)


@case("6.5.2", "an unknown setting is passed over")
def _(wire: Wire) -> None:
    wire.send(SettingsFrame(0, {0x1234: 1}))
    alive(wire, 1)


@case("6.6", "PUSH_PROMISE of a client")
def _(wire: Wire) -> None:
    wire.send(wire.headers(1, request("/body/length", "POST"), end=False))
    wire.send(raw(PUSH_PROMISE, 0x4, 1, (2).to_bytes(4, "big") + literal(request())))
    ended(wire, PROTOCOL)


@case("6.7", "a PING is answered with its bytes, and an answer is not")
def _(wire: Wire) -> None:
    wire.send(PingFrame(0, b"answered", flags=["ACK"]))
    assert wire.ping(b"abcdefgh").opaque_data == b"abcdefgh"
    assert not [frame for frame in wire.seen if isinstance(frame, PingFrame) and frame.opaque_data == b"answered"]


@case("6.8", "after the client's GOAWAY its requests are completed")
def _(wire: Wire) -> None:
    wire.send(wire.headers(1, request("/sleep?0.3")), GoAwayFrame(0, last_stream_id=0))
    assert wire.status(1) == 200


@case("6.9", "a WINDOW_UPDATE of nothing on the connection")
def _(wire: Wire) -> None:
    wire.send(WindowUpdateFrame(0, 1).serialize()[:-1] + b"\0")
    ended(wire, PROTOCOL)


@case("6.9", "a WINDOW_UPDATE of nothing on a stream")
def _(wire: Wire) -> None:
    wire.send(wire.headers(1, request("/body/length", "POST"), end=False))
    wire.send(raw(WINDOW_UPDATE, 0, 1, bytes(4)))
    refused(wire, 1, PROTOCOL)


@case("6.9.1", "a window of the connection that grows too large")
def _(wire: Wire) -> None:
    wire.send(WindowUpdateFrame(0, MOST), WindowUpdateFrame(0, MOST))
    ended(wire, FLOW)


@case("6.9.1", "a window of a stream that grows too large")
def _(wire: Wire) -> None:
    wire.send(wire.headers(1, request("/body/length", "POST"), end=False))
    wire.send(WindowUpdateFrame(1, MOST), WindowUpdateFrame(1, MOST))
    refused(wire, 1, FLOW)


@case("6.9.1", "no more is sent than the window of the stream allows", settings={WINDOW: 3})
def _(wire: Wire) -> None:
    wire.send(wire.headers(1, request("/large?10")))
    assert wire.status(1) == 200
    wire.ping()
    assert sum(len(frame.data) for frame in wire.seen if isinstance(frame, DataFrame)) <= 3
    wire.send(WindowUpdateFrame(1, 7))
    wire.until(lambda frame: isinstance(frame, DataFrame) and "END_STREAM" in frame.flags)
    assert sum(len(frame.data) for frame in wire.seen if isinstance(frame, DataFrame)) == 10


@case("6.9.1", "no more is sent than the window of the connection allows", settings={WINDOW: MOST})
def _(wire: Wire) -> None:
    wire.send(wire.headers(1, request("/large?100000")))
    assert wire.status(1) == 200
    sent = 0
    while sent < 65535:
        frame = wire.until(lambda frame: isinstance(frame, DataFrame))
        assert isinstance(frame, DataFrame)
        sent += len(frame.data)
    wire.ping()
    assert sum(len(frame.data) for frame in wire.seen if isinstance(frame, DataFrame)) == 65535


@case("6.9.1", "a body beyond the window that the server gave")
def _(wire: Wire) -> None:
    wire.send(wire.headers(1, request("/body/length", "POST"), end=False))
    # More than any window that is not renewed, in one write.
    wire.send(*[wire.data(1, b"x" * 16384, end=False) for _ in range(2 + wire.settings.get(WINDOW, 65535) // 16384)] * 40)
    try:
        frame = wire.until(lambda frame: frame.stream_id == 1 and isinstance(frame, (RstStreamFrame, WindowUpdateFrame)))
    except Ended as end:
        assert end.code in (None, FLOW), f"GOAWAY {end.code}"
        return
    # Or it reads as fast as this client writes, and gives room for more.
    assert isinstance(frame, WindowUpdateFrame) or frame.error_code == FLOW, frame


@case("6.9.2", "a changed initial window changes those of open streams", settings={WINDOW: 0})
def _(wire: Wire) -> None:
    wire.send(wire.headers(1, request("/large?10")))
    assert wire.status(1) == 200
    wire.send(SettingsFrame(0, {WINDOW: 4}))
    frame = wire.until(lambda frame: isinstance(frame, DataFrame) and bool(frame.data))
    assert isinstance(frame, DataFrame) and len(frame.data) <= 4
    wire.send(SettingsFrame(0, {WINDOW: 100}))
    wire.until(lambda frame: isinstance(frame, DataFrame) and "END_STREAM" in frame.flags)


@case("6.9.2", "a window may become negative", settings={WINDOW: 5})
def _(wire: Wire) -> None:
    wire.send(wire.headers(1, request("/large?10")))
    assert wire.status(1) == 200
    wire.until(lambda frame: isinstance(frame, DataFrame))
    wire.send(SettingsFrame(0, {WINDOW: 2}))
    wire.until(lambda frame: isinstance(frame, SettingsFrame) and "ACK" in frame.flags)
    before = sum(len(frame.data) for frame in wire.seen if isinstance(frame, DataFrame))
    wire.send(WindowUpdateFrame(1, 3))
    wire.ping()
    after = sum(len(frame.data) for frame in wire.seen if isinstance(frame, DataFrame))
    assert (before, after) == (5, 5)
    wire.send(WindowUpdateFrame(1, 5))
    wire.until(lambda frame: isinstance(frame, DataFrame) and "END_STREAM" in frame.flags)


@case("6.9.2", "a setting that makes a window too large")
def _(wire: Wire) -> None:
    wire.send(wire.headers(1, request("/body/length", "POST"), end=False), WindowUpdateFrame(1, MOST - 65535))
    wire.send(SettingsFrame(0, {WINDOW: 65536}))
    ended(wire, FLOW)


@case("6.10", "a header block in several CONTINUATION frames is taken")
def _(wire: Wire) -> None:
    wire.send(*wire.split(1, request(), 4))
    assert wire.status(1) == 200


@case("6.10", "a CONTINUATION behind a block that has ended")
def _(wire: Wire) -> None:
    wire.send(wire.headers(1, request("/body/length", "POST"), end=False), ContinuationFrame(1, b"", flags=["END_HEADERS"]))
    ended(wire, PROTOCOL)


@case("7", "an unknown code of an error is taken")
def _(wire: Wire) -> None:
    wire.send(wire.headers(1, request("/body/length", "POST"), end=False), RstStreamFrame(1, 0xFFFF))
    alive(wire, 3)
