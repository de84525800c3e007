"""A response's body: write(), blocks, close() and wsgi.file_wrapper."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable, Iterator
from typing import Any

from probing import Environ, Start, Counted, answer, closed, probe, query, text


# === write() ===


@probe("/write")
def write(environ: Environ, start: Start) -> Iterable[bytes]:
    send = start("200 OK", [("Content-Type", "text/plain")])
    send(b"written, ")
    send(b"")
    send(b"written again, ")
    return [b"returned"]


@probe("/write-str")
def write_str(environ: Environ, start: Start) -> Iterable[bytes]:
    send = start("200 OK", [("Content-Type", "text/plain")])
    try:
        send("text")
    except TypeError:
        return [b"TypeError"]
    return [b"accepted"]


@probe("/write-then-raise")
def write_then_raise(environ: Environ, start: Start) -> Iterable[bytes]:
    send = start("200 OK", [("Content-Type", "text/plain")])
    send(b"written")
    raise RuntimeError("after write(), as it was told to")


# === bodies ===


@probe("/blocks")
def blocks(environ: Environ, start: Start) -> Iterable[bytes]:
    """`?n=3` blocks without a length; `?empty=1` puts empty ones between."""
    given = query(environ)
    made = [f"block {number}\n".encode() for number in range(int(given.get("n", "3")))]
    if "empty" in given:
        made = [block for one in made for block in (b"", one, b"")]
    return text(start, *made)


@probe("/generator")
def generator(environ: Environ, start: Start) -> Iterable[bytes]:
    start("200 OK", [("Content-Type", "text/plain")])
    return (f"block {number}\n".encode() for number in range(int(query(environ).get("n", "3"))))


@probe("/single")
def single(environ: Environ, start: Start) -> Iterable[bytes]:
    return text(start, b"exactly one block")


@probe("/tuple")
def tuple_(environ: Environ, start: Start) -> Iterable[bytes]:
    start("200 OK", [("Content-Type", "text/plain")])
    return (b"a ", b"tuple")


@probe("/empty")
def empty(environ: Environ, start: Start) -> Iterable[bytes]:
    return text(start, headers=[("X-Empty-Body", "1")])


@probe("/length")
def length(environ: Environ, start: Start) -> Iterable[bytes]:
    """Declares `?declared=` bytes and sends `?sent=`."""
    given = query(environ)
    body = b"0123456789" * (int(given["sent"]) // 10 + 1)
    return text(start, body[: int(given["sent"])], headers=[("Content-Length", given["declared"])])


@probe("/length-blocks")
def length_blocks(environ: Environ, start: Start) -> Iterable[bytes]:
    """Declares `?declared=` bytes and sends blocks of ten."""
    given = query(environ)
    return text(start, *[b"0123456789"] * int(given["blocks"]), headers=[("Content-Length", given["declared"])])


@probe("/large")
def large(environ: Environ, start: Start) -> Iterable[bytes]:
    """`?size=` bytes in blocks of `?block=`."""
    given = query(environ)
    size, block = int(given["size"]), int(given.get("block", 1 << 16))
    start("200 OK", [("Content-Type", "application/octet-stream"), ("Content-Length", str(size))])
    piece = bytes(range(256)) * (block // 256 + 1)
    return (piece[: min(block, size - sent)] for sent in range(0, size, block))


@probe("/bytearray")
def bytearray_(environ: Environ, start: Start) -> Iterable[Any]:
    return text(start, bytearray(b"not bytes"))  # type: ignore[arg-type]


@probe("/no-content")
def no_content(environ: Environ, start: Start) -> Iterable[bytes]:
    start("204 No Content", [])
    return []


@probe("/not-modified")
def not_modified(environ: Environ, start: Start) -> Iterable[bytes]:
    start("304 Not Modified", [("ETag", '"x"')])
    return []


@probe("/str")
def str_(environ: Environ, start: Start) -> Iterable[Any]:
    return text(start, "text")  # type: ignore[arg-type]


@probe("/str-later")
def str_later(environ: Environ, start: Start) -> Iterable[Any]:
    return text(start, b"bytes first\n", "then text")  # type: ignore[arg-type]


@probe("/none")
def none(environ: Environ, start: Start) -> Any:
    text(start)


@probe("/not-iterable")
def not_iterable(environ: Environ, start: Start) -> Any:
    text(start)
    return 3


# === close() ===


@probe("/counted")
def counted(environ: Environ, start: Start) -> Iterable[bytes]:
    given = query(environ)
    text(start)
    made: Iterable[Any] = [b"block\n"] * int(given.get("n", "2"))
    if given.get("how") == "str":
        made = [b"block\n", "text"]
    if given.get("how") == "slow":
        made = slow_blocks(int(given.get("n", "2")))
    fail_after = int(given["fail"]) if "fail" in given else None
    return Counted(given["key"], made, fail_after, fail_in_close=given.get("how") == "close")


def slow_blocks(number: int) -> Iterator[bytes]:
    for _ in range(number):
        time.sleep(0.02)
        yield b"x" * 65536


@probe("/closed")
def closed_(environ: Environ, start: Start) -> Iterable[bytes]:
    """How often close() was called for `?key=`."""
    return answer(start, closed.get(query(environ)["key"], 0))


# === file_wrapper ===


class Opened:
    """A file without a descriptor; counts its close()."""

    def __init__(self, key: str, content: bytes) -> None:
        self.key, self.content, self.at = key, content, 0

    def read(self, size: int = -1) -> bytes:
        end = len(self.content) if size < 0 else self.at + size
        block, self.at = self.content[self.at : end], min(end, len(self.content))
        return block

    def close(self) -> None:
        closed[self.key] = closed.get(self.key, 0) + 1


@probe("/file")
def file(environ: Environ, start: Start) -> Any:
    """`?size=` bytes of a real file through wsgi.file_wrapper, from `?from=` on."""
    given = query(environ)
    content = tempfile.TemporaryFile()
    content.write((bytes(range(256)) * (int(given["size"]) // 256 + 1))[: int(given["size"])])
    content.seek(int(given.get("from", "0")))
    extra = [("Content-Length", given["length"])] if "length" in given else []
    start("200 OK", [("Content-Type", "application/octet-stream"), *extra])
    wrapper = environ["wsgi.file_wrapper"]
    return wrapper(content, int(given["block"])) if "block" in given else wrapper(content)


@probe("/file-like")
def file_like(environ: Environ, start: Start) -> Any:
    """An object with no descriptor; its close() is counted under `?key=`."""
    given = query(environ)
    start("200 OK", [("Content-Type", "application/octet-stream")])
    return environ["wsgi.file_wrapper"](Opened(given.get("key", ""), b"0123456789" * int(given.get("n", "10"))), 8)


@probe("/file-inside")
def file_inside(environ: Environ, start: Start) -> Any:
    """The wrapper used as an ordinary iterable."""
    start("200 OK", [("Content-Type", "application/octet-stream")])
    return [b"<", *environ["wsgi.file_wrapper"](Opened("", b"0123456789"), 4), b">"]


@probe("/file-range")
def file_range(environ: Environ, start: Start) -> Iterable[bytes]:
    """A range as Werkzeug reads it: it seeks in the wrapper and reads only as much as it sends."""
    content = tempfile.TemporaryFile()
    content.write(bytes(range(256)) * 4)
    wrapper = environ["wsgi.file_wrapper"](content, 10)
    try:
        seen = [wrapper.seekable(), wrapper.seek(300), wrapper.tell(), next(iter(wrapper)).hex()]
    except AttributeError:
        return answer(start, "AttributeError")
    return answer(start, seen)


@probe("/file-of-kernel")
def file_of_kernel(environ: Environ, start: Start) -> Any:
    """A file whose size is only known when it was read."""
    start("200 OK", [("Content-Type", "text/plain")])
    return environ["wsgi.file_wrapper"](open(query(environ)["path"], "rb"))
