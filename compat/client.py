"""An HTTP/1.x client that hides nothing: it sends the bytes it is given and tells how a response was framed.

For tests that must see the exact bytes. It knows no redirects, cookies or pools.
"""

from __future__ import annotations

import json as json_module
import socket
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

TIMEOUT = 20.0

Headers = Mapping[str, str] | Iterable[tuple[str, str]]


class Broken(Exception):
    """What came is no HTTP response."""


@dataclass
class Response:
    """One response. `framing` is length, chunked, close or none; `complete` says whether the framing was honoured."""

    version: str
    status: int
    reason: str
    headers: list[tuple[str, str]]
    body: bytes = b""
    framing: str = "none"
    complete: bool = True
    interim: list[int] = field(default_factory=list)

    def get(self, name: str) -> str | None:
        """The values of the header `name`, joined; None where it is absent."""
        found = self.all(name)
        return ", ".join(found) if found else None

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    @property
    def json(self) -> Any:
        return json_module.loads(self.body)


class Connection:
    """One TCP connection to 127.0.0.1:`port`, over TLS where a `context` is given."""

    def __init__(self, port: int, timeout: float = TIMEOUT, context: ssl.SSLContext | None = None) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context is not None:
            self.socket = context.wrap_socket(self.socket, server_hostname="localhost")
        self.buffer = b""

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def half_close(self) -> None:
        """Says that nothing more will be sent; still reads."""
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Goes away without a farewell: the server sees a reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        self.socket.close()

    def fill(self) -> bool:
        """Reads some more; False at the end of the stream."""
        try:
            block = self.socket.recv(1 << 16)
        except ConnectionResetError:
            block = b""
        self.buffer += block
        return bool(block)

    def rest(self) -> bytes:
        """Everything until the server closes."""
        while self.fill():
            pass
        left, self.buffer = self.buffer, b""
        return left

    def closed_by_server(self) -> bool:
        """Whether the server ends the connection, within the timeout, without another byte."""
        try:
            return not self.buffer and not self.fill()
        except TimeoutError:
            return False

    def line(self) -> bytes:
        while b"\r\n" not in self.buffer:
            if not self.fill():
                raise Broken(f"the stream ended in a line: {self.buffer[:200]!r}")
        line, _, self.buffer = self.buffer.partition(b"\r\n")
        return line

    def exactly(self, size: int) -> tuple[bytes, bool]:
        """`size` bytes, or what there was before the end, and whether it was all."""
        blocks: list[bytes] = []
        have = 0
        while have < size:
            if not self.buffer and not self.fill():
                return b"".join(blocks), False
            block, self.buffer = self.buffer[: size - have], self.buffer[size - have :]
            blocks.append(block)
            have += len(block)
        return b"".join(blocks), True

    def head(self) -> Response:
        """A status line with its headers, interim responses included."""
        line = self.line().decode("latin-1")
        version, _, rest = line.partition(" ")
        status, _, reason = rest.partition(" ")
        if not version.startswith("HTTP/") or not status.isdigit():
            raise Broken(f"no status line: {line!r}")
        headers = []
        while raw := self.line():
            name, _, value = raw.decode("latin-1").partition(":")
            headers.append((name, value.strip()))
        return Response(version, int(status), reason, headers)

    def response(self, method: str = "GET") -> Response:
        """The next response, whole, as far as the server sent it."""
        interim = []
        while (found := self.head()).status < 200 and found.status != 101:
            interim.append(found.status)
        found.interim = interim
        if method == "HEAD" or found.status in (204, 304):
            return found
        if "chunked" in (found.get("Transfer-Encoding") or "").lower():
            found.framing = "chunked"
            found.body, found.complete = self.chunks()
        elif (length := found.get("Content-Length")) is not None:
            found.framing = "length"
            found.body, found.complete = self.exactly(int(length))
        else:
            found.framing = "close"
            found.body = self.rest()
        return found

    def chunks(self) -> tuple[bytes, bool]:
        body: list[bytes] = []
        while True:
            try:
                size = int(self.line().split(b";")[0], 16)
            except (Broken, ValueError):
                return b"".join(body), False
            if size == 0:
                try:
                    while self.line():
                        pass
                except Broken:
                    return b"".join(body), False
                return b"".join(body), True
            block, whole = self.exactly(size)
            body.append(block)
            if not whole:
                return b"".join(body), False
            self.line()


def message(
    method: str, target: str, headers: Headers = (), body: bytes | None = None, version: str = "HTTP/1.1", host: str = "localhost"
) -> bytes:
    """A request's bytes: Host and Content-Length are added where they are missing."""
    given = list(headers.items()) if isinstance(headers, Mapping) else list(headers)
    names = {name.lower() for name, _ in given}
    if "host" not in names and host:
        given.insert(0, ("Host", host))
    if body is not None and not names & {"content-length", "transfer-encoding"}:
        given.append(("Content-Length", str(len(body))))
    lines = [f"{method} {target} {version}", *(f"{name}: {value}" for name, value in given)]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (body or b"")


def chunked(*blocks: bytes) -> bytes:
    """The blocks as a whole chunked body."""
    return b"".join(b"%x\r\n%s\r\n" % (len(block), block) for block in blocks) + b"0\r\n\r\n"


def ask(
    port: int, target: str, method: str = "GET", timeout: float = TIMEOUT, context: ssl.SSLContext | None = None, **given: Any
) -> Response:
    """One request on a connection of its own."""
    headers = given.pop("headers", ())
    pairs = list(headers.items()) if isinstance(headers, Mapping) else list(headers)
    if "connection" not in {name.lower() for name, _ in pairs}:
        pairs.append(("Connection", "close"))
    with Connection(port, timeout, context) as connection:
        connection.send(message(method, target, pairs, **given))
        return connection.response(method)


def raw(port: int, data: bytes, half_close: bool = False, timeout: float = TIMEOUT) -> bytes:
    """Sends `data` and returns everything until the server closes or is silent for `timeout` seconds."""
    with Connection(port, timeout) as connection:
        try:
            connection.send(data)
            if half_close:
                connection.half_close()
        except (BrokenPipeError, ConnectionResetError):
            pass
        try:
            return connection.rest()
        except TimeoutError:
            return connection.buffer


def statuses(data: bytes) -> list[int]:
    """The status codes of the responses in `data`, in order, by their status lines."""
    found = []
    for line in data.split(b"\r\n"):
        if line.startswith(b"HTTP/1.") and len(line) > 12 and line[9:12].isdigit():
            found.append(int(line[9:12]))
    return found
