"""What RFC 9113 (and RFC 7541, for header compression) asks of a server, one case each: what a client sends, and how a server may take it.

A case is a function of a connection. It fails with AssertionError, or with Ended or TimeoutError where the server ends the connection, or
says nothing, and must not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from http2_wire import Ended, Wire, request
from hyperframe.frame import Frame, HeadersFrame, RstStreamFrame

NO_ERROR, PROTOCOL, INTERNAL, FLOW, TIMEOUT, CLOSED, SIZE, REFUSED, CANCEL, COMPRESSION = range(10)
TABLE, PUSH, STREAMS, WINDOW, FRAME = 1, 2, 3, 4, 5
MOST = (1 << 31) - 1
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)


@dataclass
class Case:
    """One rule."""

    section: str
    name: str
    run: Callable[[Wire], None]
    # Settings of the client, and whether the case sends the preface itself.
    settings: dict[int, int]
    quiet: bool


CASES: list[Case] = []


def case(section: str, name: str, settings: dict[int, int] | None = None, quiet: bool = False) -> Callable[[Callable[[Wire], None]], None]:
    def add(run: Callable[[Wire], None]) -> None:
        CASES.append(Case(section, name, run, settings or {}, quiet))

    return add


def run(case: Case, address: tuple[str, int]) -> str | None:
    """Runs a case; returns what is wrong."""
    try:
        with Wire(address, case.settings, case.quiet) as wire:
            case.run(wire)
    except Ended as end:
        return f"the connection ended (GOAWAY {end.code})"
    except TimeoutError:
        return "nothing came"
    except OSError as error:
        return str(error)
    except AssertionError as wrong:
        return str(wrong) or "an assertion failed"
    return None


# === how a server may take something ===


def ended(wire: Wire, *codes: int) -> None:
    """The connection has to end: a server should say why, with one of these codes. PROTOCOL stands among them where servers give it in
    the place of the code that fits, as h2 and others do for COMPRESSION."""
    code = wire.code()
    assert code is None or code in codes, f"GOAWAY {code}, not {codes}"


def refused(wire: Wire, stream: int, *codes: int, status: int | None = None) -> None:
    """The stream has to end with one of these codes. A server may answer a malformed request before, and may end the connection."""
    try:
        frame = wire.until(lambda frame: frame.stream_id == stream and isinstance(frame, (RstStreamFrame, HeadersFrame)))
    except Ended as end:
        assert end.code is None or end.code in codes, f"GOAWAY {end.code}, not {codes}"
        return
    if isinstance(frame, HeadersFrame):
        found = int(dict(frame.fields)[":status"])  # type: ignore[attr-defined]
        assert 400 <= found < 500 or found == status, f"answered {found}"
        return
    assert frame.error_code in codes, f"RST_STREAM {frame.error_code}, not {codes}"
    alive(wire, stream + 2)


def alive(wire: Wire, stream: int) -> None:
    """The connection goes on."""
    wire.send(wire.headers(stream, request()))
    assert wire.status(stream) == 200


def several(section: str, what: str, rows: dict[str, Any], take: Callable[[Wire, Any], None]) -> None:
    """A case for each row."""
    for name, row in rows.items():
        case(section, f"{what}: {name}")(lambda wire, row=row: take(wire, row))  # type: ignore[misc]


def ends(*codes: int, before: Callable[[Wire], Frame] | None = None) -> Callable[[Wire, Any], None]:
    """A frame, behind another one where one is needed, ends the connection."""

    def take(wire: Wire, frame: Frame | bytes) -> None:
        wire.send(*([before(wire)] if before else []), frame)
        ended(wire, *codes)

    return take


def open_request(wire: Wire) -> Frame:
    """A request whose body is to come."""
    return wire.headers(1, request("/body/length", "POST"), end=False)
