"""A response's head: start_response in each right and wrong way."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from probing import Environ, Start, answer, probe, query, text


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


BAD_EXC_INFO: dict[str, Any] = {
    "list": [ValueError, ValueError("in a list"), None],
    "str": "ValueError",
    "number": 3,
    "false": False,
    "two": (ValueError, ValueError("without a traceback")),
    "none": (),
}


@probe("/bad-exc-info")
def bad_exc_info(environ: Environ, start: Start) -> Iterable[bytes]:
    """An exc_info that sys.exc_info() never gives, before any output."""
    try:
        start("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "8")], BAD_EXC_INFO[query(environ)["kind"]])
    except Exception as problem:
        return text(start, type(problem).__name__.encode())
    return [b"accepted"]


@probe("/repeated")
def repeated(environ: Environ, start: Start) -> Iterable[bytes]:
    """Headers that come more than once."""
    names = ["Set-Cookie", "WWW-Authenticate", "X-Twice", "Cache-Control", "Link", "ETag", "Content-Language", "Content-Type"]
    twice = [(name, f"{number}-{name.lower()}") for number in ("one", "two") for name in names]
    # The name in another case is the same header.
    start("200 OK", [*twice, ("x-tWICE", "three"), ("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT"), ("Last-Modified", "Sun, 06 Nov 1994 08:49:38 GMT")])
    return [b"repeated"]


@probe("/last-modified")
def last_modified(environ: Environ, start: Start) -> Iterable[bytes]:
    """A date ahead of this machine's clock."""
    start("200 OK", [("Content-Type", "text/plain"), ("Last-Modified", "Tue, 01 Jan 2058 00:00:00 GMT")])
    return [b"page"]


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
