"""Probes of PEP 3333: each path does one thing a server must get right, and tells what it saw.

The scenarios of compat/ and the checks of tests/whole/ ask for these by path; `?…` gives the numbers. Nothing here is
lenient on purpose: where a server misbehaves, the answer differs.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterable, Iterator
from typing import Any

Environ = dict[str, Any]
Start = Callable[..., Any]
Probe = Callable[[Environ, Start], Any]

PROBES: dict[str, Probe] = {}
closed: dict[str, int] = {}


def probe(path: str) -> Callable[[Probe], Probe]:
    """Registers what answers `path`."""

    def register(function: Probe) -> Probe:
        PROBES[path] = function
        return function

    return register


def query(environ: Environ) -> dict[str, str]:
    return dict(urllib.parse.parse_qsl(environ["QUERY_STRING"], keep_blank_values=True))


def answer(start: Start, value: Any, status: str = "200 OK") -> Iterable[bytes]:
    """`value` as JSON, with a length."""
    body = json.dumps(value, sort_keys=True).encode()
    start(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


def text(start: Start, *blocks: bytes, status: str = "200 OK", headers: Iterable[tuple[str, str]] = ()) -> list[bytes]:
    start(status, [("Content-Type", "text/plain"), *headers])
    return list(blocks)


class Counted:
    """An iterable whose close() is counted under `key`; fails where told to."""

    def __init__(self, key: str, blocks: Iterable[Any], fail_after: int | None = None, fail_in_close: bool = False) -> None:
        self.key, self.blocks, self.fail_after, self.fail_in_close = key, blocks, fail_after, fail_in_close

    def __iter__(self) -> Iterator[Any]:
        for number, block in enumerate(self.blocks):
            if number == self.fail_after:
                raise RuntimeError("the iterator failed, as it was told to")
            yield block
        if self.fail_after is not None:
            raise RuntimeError("the iterator failed, as it was told to")

    def close(self) -> None:
        closed[self.key] = closed.get(self.key, 0) + 1
        if self.fail_in_close:
            raise RuntimeError("close() failed, as it was told to")


# === environ ===


def shown(value: Any) -> Any:
    """A value of the environ as JSON can hold it."""
    if isinstance(value, (str, int, float, bool)) or value is None:
        return value
    if isinstance(value, tuple):
        return list(value)
    return None


@probe("/environ")
def environ_(environ: Environ, start: Start) -> Iterable[bytes]:
    values = {key: shown(value) for key, value in environ.items()}
    kinds = {key: type(value).__name__ for key, value in environ.items()}
    return answer(start, {"values": values, "kinds": kinds, "exact_dict": type(environ) is dict})


@probe("/where")
def where(environ: Environ, start: Start) -> Iterable[bytes]:
    """Where this request runs."""
    current = sys.modules.get("mod_wsgi")
    return answer(
        start,
        {
            "pid": os.getpid(),
            "thread": threading.get_ident(),
            "process_group": environ.get("mod_wsgi.process_group"),
            "application_group": environ.get("mod_wsgi.application_group"),
            "module_process_group": getattr(current, "process_group", None),
            "module_application_group": getattr(current, "application_group", None),
            "name": __name__,
            "registered": getattr(sys.modules.get(__name__), "__file__", None),
            "file": __file__,
            "cwd": os.getcwd(),
            "umask": read_umask(),
            "uid": os.getuid(),
            "gid": os.getgid(),
            "lang": os.environ.get("LANG"),
            "lc_all": os.environ.get("LC_ALL"),
            "home": os.environ.get("HOME"),
            "argv": getattr(sys, "argv", None),
            "path": sys.path,
            "prefix": sys.prefix,
            "optimize": sys.flags.optimize,
            "dont_write_bytecode": sys.dont_write_bytecode,
            "hash_seed": os.environ.get("PYTHONHASHSEED"),
            "threads": threading.active_count(),
        },
    )


def read_umask() -> int:
    """This process's umask, read without changing it."""
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith("Umask:"):
                return int(line.split()[1], 8)
    return -1


# === wsgi.input ===


@probe("/echo")
def echo(environ: Environ, start: Start) -> Iterable[bytes]:
    body = environ["wsgi.input"].read()
    start("200 OK", [("Content-Type", "application/octet-stream"), ("Content-Length", str(len(body)))])
    return [body]


@probe("/relay")
def relay(environ: Environ, start: Start) -> Iterable[bytes]:
    """Gives each piece of the body back before it reads the next one."""
    stream = environ["wsgi.input"]
    start("200 OK", [("Content-Type", "application/octet-stream")])
    return iter(lambda: stream.read(1 << 16), b"")


@probe("/unread")
def unread(environ: Environ, start: Start) -> Iterable[bytes]:
    return text(start, b"unread")


@probe("/input")
def input_(environ: Environ, start: Start) -> Iterable[bytes]:
    """Runs the calls of `?do=read:2,readline,iter` on wsgi.input; a call's number follows its colon."""
    stream = environ["wsgi.input"]
    seen: list[Any] = []
    for step in query(environ).get("do", "read").split(","):
        name, _, number = step.partition(":")
        given = [int(number)] if number.lstrip("-").isdigit() else [None] if number == "None" else []
        try:
            if name == "iter":
                result: Any = list(stream)
            elif name == "next":
                result = next(stream)
            else:
                result = getattr(stream, name)(*given)
        except StopIteration:
            seen.append("StopIteration")
            continue
        except Exception as problem:
            seen.append(f"{type(problem).__name__}")
            continue
        blocks = result if isinstance(result, list) else [result]
        if not all(isinstance(block, bytes) for block in blocks):
            seen.append(f"not bytes: {result!r}")
        elif isinstance(result, list):
            seen.append([block.decode("latin-1") for block in blocks])
        else:
            seen.append(result.decode("latin-1"))
    return answer(start, seen)


@probe("/count")
def count(environ: Environ, start: Start) -> Iterable[bytes]:
    """Reads the body in pieces of 64 KiB and tells its length, and a checksum of its bytes."""
    stream, length, total = environ["wsgi.input"], 0, 0
    while block := stream.read(1 << 16):
        length += len(block)
        total = (total + sum(block[:64])) & 0xFFFFFFFF
    return answer(start, {"length": length, "sum": total})


# === start_response ===


@probe("/method")
def method(environ: Environ, start: Start) -> Iterable[bytes]:
    """Says which method it sees in a header, which the answer to HEAD has too."""
    return text(start, b"a body", headers=[("X-Method", environ["REQUEST_METHOD"]), ("Content-Length", "6")])


@probe("/status")
def status(environ: Environ, start: Start) -> Iterable[bytes]:
    """Answers with the status of `?line=…`, and with `?body=…`."""
    given = query(environ)
    return text(start, given.get("body", "body").encode(), status=given["line"])


BAD_CALLS: dict[str, tuple[Any, Any]] = {
    "status-bytes": (b"200 OK", [("Content-Type", "text/plain")]),
    "status-int": (200, [("Content-Type", "text/plain")]),
    "status-letters": ("OK", [("Content-Type", "text/plain")]),
    "status-short": ("20 OK", [("Content-Type", "text/plain")]),
    "status-newline": ("200 OK\r\nX-Evil: 1", [("Content-Type", "text/plain")]),
    "headers-tuple": ("200 OK", (("Content-Type", "text/plain"),)),
    "headers-dict": ("200 OK", {"Content-Type": "text/plain"}),
    "header-list": ("200 OK", [["Content-Type", "text/plain"]]),
    "header-three": ("200 OK", [("Content-Type", "text/plain", "x")]),
    "name-bytes": ("200 OK", [(b"Content-Type", "text/plain")]),
    "name-empty": ("200 OK", [("", "x")]),
    "name-space": ("200 OK", [("X Y", "x")]),
    "name-colon": ("200 OK", [("X:Y", "x")]),
    "name-newline": ("200 OK", [("X\nY", "x")]),
    "value-bytes": ("200 OK", [("X-Y", b"x")]),
    "value-int": ("200 OK", [("X-Y", 3)]),
    "value-newline": ("200 OK", [("X-Y", "a\r\nX-Evil: 1")]),
    "value-return": ("200 OK", [("X-Y", "a\rb")]),
    "value-wide": ("200 OK", [("X-Y", "\u20ac")]),
}


@probe("/bad-start")
def bad_start(environ: Environ, start: Start) -> Iterable[bytes]:
    """Makes the wrong call `?call=NAME`; tells which exception it got, after a right call."""
    line, headers = BAD_CALLS[query(environ)["call"]]
    try:
        start(line, headers)
    except (TypeError, ValueError) as problem:
        return answer(start, "TypeError" if isinstance(problem, TypeError) else "ValueError")
    except Exception as problem:
        return answer(start, type(problem).__name__)
    return answer(start, "accepted")


@probe("/bad-start-uncaught")
def bad_start_uncaught(environ: Environ, start: Start) -> Iterable[bytes]:
    start(*BAD_CALLS[query(environ)["call"]])
    return [b"accepted"]


@probe("/headers")
def headers(environ: Environ, start: Start) -> Iterable[bytes]:
    start(
        "200 OK",
        [
            ("Content-Type", "text/plain; charset=utf-8"),
            ("X-Latin", "caf\xe9"),
            ("X-Empty", ""),
            ("Set-Cookie", "a=1"),
            ("Set-Cookie", "b=2"),
            ("X-Twice", "one"),
            ("X-Twice", "two"),
        ],
    )
    return [b"headers"]


@probe("/twice")
def twice(environ: Environ, start: Start) -> Iterable[bytes]:
    """A second start_response without exc_info, before any output."""
    start("200 OK", [("X-First", "1")])
    try:
        start("201 Created", [("X-Second", "2")])
    except Exception as problem:
        return [type(problem).__name__.encode()]
    return [b"second accepted"]


@probe("/exc-info-before")
def exc_info_before(environ: Environ, start: Start) -> Iterable[bytes]:
    """The headers are replaced, as no output has been made."""
    start("200 OK", [("X-First", "1")])
    try:
        raise ValueError("for exc_info")
    except ValueError:
        start("500 Replaced", [("Content-Type", "text/plain"), ("X-Second", "2")], sys.exc_info())
    return [b"replaced"]


@probe("/exc-info-after")
def exc_info_after(environ: Environ, start: Start) -> Iterable[bytes]:
    """Output has been made: the exception comes back, and the response breaks off."""
    start("200 OK", [("Content-Type", "text/plain")])
    yield b"first block\n" * 100
    try:
        raise ValueError("for exc_info")
    except ValueError:
        try:
            start("500 Replaced", [("Content-Type", "text/plain")], sys.exc_info())
        except ValueError:
            yield b"raised again"
            return
    yield b"not raised"


@probe("/second-after-output")
def second_after_output(environ: Environ, start: Start) -> Iterable[bytes]:
    start("200 OK", [("Content-Type", "text/plain")])
    yield b"first, "
    try:
        start("200 OK", [("Content-Type", "text/plain")])
    except Exception as problem:
        yield type(problem).__name__.encode()
        return
    yield b"accepted"


@probe("/late-start")
def late_start(environ: Environ, start: Start) -> Iterable[bytes]:
    """start_response called by the iterator, before its first block."""
    start("200 OK", [("Content-Type", "text/plain"), ("X-Late", "1")])
    yield b"late"


@probe("/no-start")
def no_start(environ: Environ, start: Start) -> Iterable[bytes]:
    return [b"nobody called start_response"]


@probe("/no-start-empty")
def no_start_empty(environ: Environ, start: Start) -> Iterable[bytes]:
    return []


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


# === failures ===


@probe("/raise")
def raise_(environ: Environ, start: Start) -> Iterable[bytes]:
    raise RuntimeError("before start_response, as it was told to")


@probe("/raise-after-start")
def raise_after_start(environ: Environ, start: Start) -> Iterable[bytes]:
    text(start, headers=[("X-Mine", "1")])
    raise RuntimeError("after start_response, as it was told to")


@probe("/exit")
def exit_(environ: Environ, start: Start) -> Iterable[bytes]:
    raise SystemExit(3)


@probe("/raise-in-body")
def raise_in_body(environ: Environ, start: Start) -> Iterable[bytes]:
    """Sends `?after=` blocks, then fails; with `?length=`, the length is declared."""
    given = query(environ)
    extra = [("Content-Length", given["length"])] if "length" in given else []
    text(start, headers=extra)
    return Counted(given.get("key", ""), [b"0123456789"] * 100, fail_after=int(given.get("after", "1")))


@probe("/die")
def die(environ: Environ, start: Start) -> Iterable[bytes]:
    """Ends the process on the spot; `?after=1` sends a block first."""
    if "after" in query(environ):
        send = start("200 OK", [("Content-Type", "text/plain")])
        send(b"then the process died\n" * 1000)
        time.sleep(float(query(environ)["after"]))
    os._exit(9)


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
    """A file whose close() is counted, without a descriptor unless it is asked for."""

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


# === wsgi.errors, stdout, late use ===


@probe("/errors")
def errors(environ: Environ, start: Start) -> Iterable[bytes]:
    given = query(environ).get("text", "a line")
    stream = environ["wsgi.errors"]
    stream.write(f"errors: {given}\n")
    stream.writelines([f"writelines: {given}\n"])
    stream.flush()
    print(f"stdout: {given}", flush=True)
    print(f"stderr: {given}", file=sys.stderr, flush=True)
    return text(start, b"logged")


kept: dict[str, Any] = {}


@probe("/keep")
def keep(environ: Environ, start: Start) -> Iterable[bytes]:
    kept.update(environ=environ, start=start)
    return text(start, b"kept")


@probe("/use-kept")
def use_kept(environ: Environ, start: Start) -> Iterable[bytes]:
    """What using an ended request's objects gives."""

    def outcome(call: Callable[[], Any]) -> str:
        try:
            call()
        except BaseException as problem:
            return type(problem).__name__
        return "nothing"

    old = kept["environ"]
    return answer(
        start,
        {
            "input": outcome(lambda: old["wsgi.input"].read()),
            "errors": outcome(lambda: old["wsgi.errors"].write("late\n")),
            "start": outcome(lambda: kept["start"]("200 OK", [])),
        },
    )


# === time ===


@probe("/sleep")
def sleep(environ: Environ, start: Start) -> Iterable[bytes]:
    """`?tell=` is logged before, for who must know that it has begun."""
    given = query(environ)
    if "tell" in given:
        environ["wsgi.errors"].write(given["tell"] + "\n")
    time.sleep(float(given.get("seconds", "0.1")))
    return text(start, b"slept")


@probe("/spin")
def spin(environ: Environ, start: Start) -> Iterable[bytes]:
    """Runs Python for `?seconds=`, so that an injected exception can reach it."""
    end = time.monotonic() + float(query(environ).get("seconds", "0.1"))
    while time.monotonic() < end:
        pass
    return text(start, b"spun")


@probe("/hash")
def hash_(environ: Environ, start: Start) -> Iterable[bytes]:
    return answer(start, hash("a fixed text"))


def application(environ: Environ, start_response: Start) -> Iterable[bytes]:
    found = PROBES.get(environ["PATH_INFO"])
    if found is None:
        return text(start_response, b"no such probe", status="404 Not Found", headers=[("Content-Length", "13")])
    return found(environ, start_response)
