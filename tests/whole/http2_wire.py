"""A client of HTTP/2 that sends any frames, to see how a server takes them. Frames by hyperframe, header fields by hpack."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterable
from types import TracebackType

from hpack import Decoder, Encoder
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
Fields = Iterable[tuple[str, str]]


def raw(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """A frame as it is, however wrong."""
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def literal(fields: Fields) -> bytes:
    """A header block of fields that are neither compressed nor checked."""
    block = b""
    for name, value in fields:
        for text in (b"\0" + bytes([len(name)]) + name.encode("latin-1"), bytes([len(value)]) + value.encode("latin-1")):
            block += text
    return block


def request(path: str = "/tiny", method: str = "GET", **more: str) -> list[tuple[str, str]]:
    """The fields of a request; an underscore in a name stands for a dash."""
    fields = [(":method", method), (":scheme", "http"), (":path", path), (":authority", "localhost")]
    return fields + [(name.replace("_", "-"), value) for name, value in more.items()]


class Ended(Exception):
    """The connection has ended; `code` is that of the GOAWAY before, if one came."""

    def __init__(self, code: int | None) -> None:
        super().__init__(code)
        self.code = code


class Wire:
    """One connection, over TLS where a `context` is given."""

    def __init__(
        self,
        address: tuple[str, int],
        settings: dict[int, int] | None = None,
        quiet: bool = False,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self.socket = socket.create_connection(address, timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context is not None:
            self.socket = context.wrap_socket(self.socket, server_hostname="localhost")
        self.rest = b""
        self.encoder, self.decoder = Encoder(), Decoder()
        self.goaway: int | None = None
        self.seen: list[Frame] = []
        self.settings: dict[int, int] = {}
        if not quiet:
            self.send(PREFACE, SettingsFrame(0, settings or {}))
            self.settings = self.until(lambda frame: isinstance(frame, SettingsFrame) and "ACK" not in frame.flags).settings
            self.send(SettingsFrame(0, flags=["ACK"]))
            self.until(lambda frame: isinstance(frame, SettingsFrame) and "ACK" in frame.flags)

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.socket.close()

    def send(self, *frames: Frame | bytes) -> None:
        try:
            self.socket.sendall(b"".join(frame if isinstance(frame, bytes) else frame.serialize() for frame in frames))
        except (BrokenPipeError, ConnectionResetError):
            # What the server said before stands in the socket.
            pass

    def headers(self, stream: int, fields: Fields | bytes, end: bool = True, whole: bool = True) -> HeadersFrame:
        """A HEADERS frame. `end`: of the request; `whole`: of the header block."""
        block = fields if isinstance(fields, bytes) else self.encoder.encode(list(fields), huffman=False)
        flags = (["END_STREAM"] if end else []) + (["END_HEADERS"] if whole else [])
        return HeadersFrame(stream, block, flags=flags)

    def data(self, stream: int, body: bytes, end: bool = True) -> DataFrame:
        return DataFrame(stream, body, flags=["END_STREAM"] if end else [])

    def next(self) -> Frame:
        """The next frame; raises Ended."""
        while True:
            if len(self.rest) >= 9:
                frame, length = Frame.parse_frame_header(memoryview(self.rest[:9]))
                if len(self.rest) >= 9 + length:
                    frame.parse_body(memoryview(self.rest[9 : 9 + length]))
                    self.rest = self.rest[9 + length :]
                    break
            try:
                piece = self.socket.recv(1 << 16)
            except ConnectionResetError:
                piece = b""
            if not piece:
                raise Ended(self.goaway)
            self.rest += piece
        if isinstance(frame, GoAwayFrame):
            self.goaway = frame.error_code
        if isinstance(frame, HeadersFrame):
            frame.fields = self.decoder.decode(frame.data)  # type: ignore[attr-defined]
        self.seen.append(frame)
        return frame

    def until(self, wanted: Callable[[Frame], bool]) -> Frame:
        """The next such frame; others are passed over."""
        while not wanted(frame := self.next()):
            pass
        return frame

    def code(self) -> int | None:
        """Waits for the end of the connection, and gives the code of the GOAWAY before."""
        try:
            while True:
                self.next()
        except Ended as ended:
            return ended.code

    def status(self, stream: int) -> int:
        """The status of a response; raises Ended, or AssertionError where the stream is reset."""
        frame = self.until(lambda frame: frame.stream_id == stream and isinstance(frame, (HeadersFrame, RstStreamFrame)))
        assert isinstance(frame, HeadersFrame), frame
        return int(dict(frame.fields)[":status"])  # type: ignore[attr-defined]

    def body(self, stream: int) -> bytes:
        """A response's body up to its end, with room for as much as comes."""
        body = b""
        while True:
            frame = self.until(lambda frame: frame.stream_id == stream and isinstance(frame, (DataFrame, RstStreamFrame)))
            assert isinstance(frame, DataFrame), frame
            body += frame.data
            if "END_STREAM" in frame.flags:
                return body
            if frame.data:
                self.send(WindowUpdateFrame(0, len(frame.data)), WindowUpdateFrame(stream, len(frame.data)))

    def ping(self, payload: bytes = b"12345678") -> PingFrame:
        """Sends a PING and waits for its answer: what was sent before has been read."""
        self.send(PingFrame(0, payload))
        answer = self.until(lambda frame: isinstance(frame, PingFrame) and "ACK" in frame.flags)
        assert isinstance(answer, PingFrame)
        return answer

    def exchange(
        self, stream: int, fields: Fields, body: bytes | None = None
    ) -> tuple[list[tuple[str, str]], bytes]:
        """A request and its response: the fields of its head, and its body."""
        self.send(self.headers(stream, fields, end=body is None))
        room, left = min(65535, self.settings.get(4, 65535)), body or b""
        while body is not None:
            piece, left = left[: min(16384, room)], left[min(16384, room) :]
            self.send(self.data(stream, piece, end=not left))
            room -= len(piece)
            if not left:
                break
            while room == 0:
                frame = self.until(lambda frame: isinstance(frame, WindowUpdateFrame) and frame.stream_id == stream)
                room += frame.window_increment
        head = self.until(lambda frame: frame.stream_id == stream and isinstance(frame, HeadersFrame))
        found = [(str(name), str(value)) for name, value in head.fields]  # type: ignore[attr-defined]
        return found, b"" if "END_STREAM" in head.flags else self.body(stream)

    def split(self, stream: int, fields: Fields, pieces: int, end: bool = True) -> list[Frame]:
        """A request whose header block is cut into a HEADERS frame and CONTINUATION frames."""
        block = self.encoder.encode(list(fields), huffman=False)
        size = -(-len(block) // pieces)
        cut = [block[at : at + size] for at in range(0, len(block), size)]
        frames: list[Frame] = [self.headers(stream, cut[0], end, whole=False)]
        frames += [ContinuationFrame(stream, piece) for piece in cut[1:]]
        frames[-1].flags.add("END_HEADERS")
        return frames
