"""The objects of a request: environ, wsgi.input, wsgi.errors, and their use after its end."""

from __future__ import annotations

import io
import os
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

from probing import Environ, Start, answer, probe, query, text


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


@probe("/input-file")
def input_file(environ: Environ, start: Start) -> Iterable[bytes]:
    """wsgi.input as a binary file: its size, the readers of `io` over it, and the body a second time."""
    stream = environ["wsgi.input"]

    def outcome(call: Callable[[], Any]) -> Any:
        try:
            return call()
        except Exception as problem:
            return type(problem).__name__

    calls: dict[str, Callable[[], Any]] = {
        "size": lambda: (stream.seek(0, 2), stream.tell(), stream.seek(0))[1],
        "closed": lambda: stream.closed,
        "buffered": lambda: io.BufferedReader(stream).read().decode("latin-1"),
        "text": lambda: (stream.seek(0), io.TextIOWrapper(stream, "latin-1", newline="").read())[1],
        "again": lambda: (stream.seek(0), stream.read().decode("latin-1"))[1],
    }
    return answer(start, {name: outcome(call) for name, call in calls.items()})


@probe("/count")
def count(environ: Environ, start: Start) -> Iterable[bytes]:
    """Reads the body in pieces of 64 KiB and tells its length, and a checksum of its bytes."""
    stream, length, total = environ["wsgi.input"], 0, 0
    while block := stream.read(1 << 16):
        length += len(block)
        total = (total + sum(block[:64])) & 0xFFFFFFFF
    return answer(start, {"length": length, "sum": total})


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


@probe("/errors-buffer")
def errors_buffer(environ: Environ, start: Start) -> Iterable[bytes]:
    """The binary side of wsgi.errors takes what bytes can be, in each way, and nothing else."""
    buffer = environ["wsgi.errors"].buffer
    given = query(environ).get("text", "a line").encode()
    buffer.writelines([b"bytes ", bytearray(b"bytearray "), memoryview(b"memoryview "), given + b"\n"])
    buffer.write(bytearray(b"written: ") + given + b"\n")
    refused = []
    for wrong in (3, None, [1, 2]):
        for call in (buffer.write, lambda value: buffer.writelines([value])):
            try:
                call(wrong)
            except TypeError:
                refused.append(repr(wrong))
    return answer(start, refused)


@probe("/errors-fileno")
def errors_fileno(environ: Environ, start: Start) -> Iterable[bytes]:
    """The descriptors of the log's streams, as faulthandler and subprocess want them."""
    seen: dict[str, Any] = {}
    for name, stream in {"errors": environ["wsgi.errors"], "stderr": sys.stderr, "stdout": sys.stdout}.items():
        try:
            seen[name] = stream.fileno()
            os.write(seen[name], f"past {name}: {query(environ)['text']}\n".encode())
        except OSError as problem:
            seen[name] = type(problem).__name__
    return answer(start, seen)


@probe("/zone")
def zone(environ: Environ, start: Start) -> Iterable[bytes]:
    """Changes this process's time zone and logs a line."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = query(environ)["tz"]
    time.tzset()
    print(query(environ)["text"], file=sys.stderr, flush=True)
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()
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
