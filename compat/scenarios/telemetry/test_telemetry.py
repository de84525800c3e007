"""The datagrams of WSGITelemetryService, as they come out of the socket."""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import harness
import pytest
from differs import differs
from harness import Server

METRICS, SLOW, STARTED, STOPPING, STOPPED, GC, COLLECTION = 2, 4, 5, 6, 7, 8, 9
HOSTNAME, GROUP, PARENT, INTERPRETER, PERIOD, COUNT, THREADS = 5, 6, 7, 8, 10, 20, 50
REQUEST_BUCKETS, INPUT_BYTES, OUTPUT_BYTES, COMPLETED, BUSY = 94, 100, 102, 110, 111


@dataclass
class Datagram:
    kind: int
    pid: int
    seq: int
    fields: dict[int, Any] = field(default_factory=dict)


def decoded(data: bytes) -> Datagram:
    assert data[:5] == b"WSGI\x01"
    kind, _, pid, seq, _ = struct.unpack_from("<BHIId", data, 5)
    found, at = Datagram(kind, pid, seq), 24
    while at < len(data):
        number, form = struct.unpack_from("<HB", data, at)
        at += 3
        if form in (1, 2, 3):
            (found.fields[number],) = struct.unpack_from("<" + "?Qdq"[form], data, at)
            at += 8
            continue
        (length,) = struct.unpack_from("<H", data, at)
        at += 2
        if form == 4:
            found.fields[number] = data[at : at + length].decode()
            at += length
        else:
            unit = "?????id"[form]
            found.fields[number] = list(struct.unpack_from(f"<{length}{unit}", data, at))
            at += length * struct.calcsize(unit)
    assert at == len(data)
    return found


class Receiver:
    """Everything a server has told."""

    def __init__(self, server: Server) -> None:
        self.all: list[Datagram] = []
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        path = server.root / "telemetry.sock"
        self.socket.bind(str(path))
        path.chmod(0o666)

    def until(self, condition: Callable[[], Any], what: str, seconds: float = 30.0) -> Any:
        deadline = time.monotonic() + seconds
        while not (value := condition()):
            self.socket.settimeout(max(deadline - time.monotonic(), 0.001))
            try:
                self.all.append(decoded(self.socket.recv(65536)))
            except TimeoutError:
                raise AssertionError(f"not within {seconds} s: {what}") from None
        return value

    def of(self, kind: int) -> list[Datagram]:
        """Those of a daemon process; Apache's own children tell, too."""
        groups = {one.pid for one in self.all if one.fields.get(GROUP) == "told"}
        return [one for one in self.all if one.kind == kind and one.pid in groups]

    def sum(self, number: int) -> int:
        return sum(one.fields.get(number, 0) for one in self.of(METRICS))


@pytest.fixture(scope="module")
def receiver(server_of: Callable[[str | None], Server]) -> Iterator[Receiver]:
    server = server_of(None)
    receiver = Receiver(server)
    receiver.until(lambda: receiver.of(METRICS), "the daemon process tells", 30)
    yield receiver
    receiver.socket.close()


def test_requests_are_counted_by_status_and_bytes(server: Server, receiver: Receiver) -> None:
    before = receiver.sum(COUNT)
    for _ in range(12):
        assert server.ask("/").status == 200
    assert server.ask("/missing").status == 404
    assert server.ask("/echo", method="POST", body=b"x" * 5000).status == 200
    receiver.until(lambda: receiver.sum(COUNT) == before + 14, "fourteen requests are counted")
    assert receiver.sum(123) == 1 and receiver.sum(INPUT_BYTES) == 5000
    assert receiver.sum(OUTPUT_BYTES) >= 13 * 4 + 5000
    assert sum(sum(one.fields[REQUEST_BUCKETS]) for one in receiver.of(METRICS)) >= 14


def test_a_record_has_what_the_pages_need(server: Server, receiver: Receiver) -> None:
    server.ask("/")
    one = receiver.until(lambda: [one for one in receiver.of(METRICS) if one.fields[COUNT]], "a request")[-1]
    needed = {HOSTNAME, GROUP, PARENT, PERIOD, 11, 12, 13, COUNT, 21, 22, 30, 31, 32, 40, 41, THREADS, 51, 52}
    needed |= {base + phase for base in (60, 70, 80, 90) for phase in range(8)} | {100, 101, 102, 103, 110, 111, 112, 113, 114}
    needed |= {120, 121, 122, 123, 124}
    assert needed <= set(one.fields), needed - set(one.fields)
    assert one.fields[THREADS] == len(one.fields[COMPLETED]) == len(one.fields[BUSY]) == 2
    assert one.fields[HOSTNAME] == os.uname().nodename and 0.3 < one.fields[PERIOD] < 30
    for phase in range(8):
        assert len(one.fields[90 + phase]) == 65
        assert 0 <= one.fields[70 + phase] <= one.fields[60 + phase] * 1.05 + 1e-5, phase
        assert one.fields[60 + phase] <= one.fields[80 + phase] * 1.05 + 1e-5, phase


def test_numbers_follow_each_other(server: Server, receiver: Receiver) -> None:
    server.ask("/collect")
    receiver.until(lambda: receiver.of(COLLECTION), "a collection")
    pid = receiver.of(METRICS)[-1].pid
    numbers = [one.seq for one in receiver.all if one.pid == pid]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_versions(receiver: Receiver) -> None:
    assert differs("Versions in telemetry", ours=False, mod_wsgi=True) == (3 in receiver.of(METRICS)[0].fields)
    version = receiver.of(METRICS)[0].fields[1]
    assert version.startswith(differs("Versions in telemetry", ours="gilkeeper ", mod_wsgi="6."))


def test_a_slow_request_is_told_while_it_runs_and_when_it_is_over(server: Server, receiver: Receiver) -> None:
    server.ask("/slow")
    slow = receiver.until(lambda: [one.fields for one in receiver.of(SLOW) if one.fields[200] == 1], "it is over")[-1]
    assert slow[210] == "GET" and slow[214] == "/slow" and 0.55 < slow[202] < 20 and slow[240] == 200
    assert slow[223] > 0.55 and {203, 204, 205, 220, 221, 222, 224, 225, 230, 232, 250, 251} <= set(slow)
    running = [one.fields for one in receiver.of(SLOW) if one.fields[200] == 0 and one.fields.get(204) == slow[204]]
    assert all(one[214] == "/slow" and one[202] < slow[202] + 0.1 for one in running)
    told = {211, 212, 215, 216} & set(slow)
    assert told == differs("What slow requests tell of the client", ours=set(), mod_wsgi={211, 212, 215, 216})


def test_the_interpreter_of_a_collection(server: Server, receiver: Receiver) -> None:
    server.ask("/collect")
    receiver.until(lambda: receiver.of(COLLECTION) and receiver.of(GC), "a collection")
    named = any(INTERPRETER in one.fields for one in receiver.of(GC) + receiver.of(COLLECTION))
    assert named == differs("Interpreter names in telemetry", ours=False, mod_wsgi=True)


def test_a_script_that_cannot_be_imported(server: Server, receiver: Receiver) -> None:
    before, errors = receiver.sum(COUNT), receiver.sum(124)
    assert server.ask("/broken").status == 500
    expected = differs("Scripts that cannot be imported, in telemetry", ours=1, mod_wsgi=0)
    # A request of an earlier case may be told only now.
    receiver.until(lambda: receiver.sum(COUNT) > before and receiver.sum(124) - errors == expected, "it is counted, as an error or not")


def test_the_applications_own_metrics_beside_it(server: Server) -> None:
    expected = differs("request_metrics() beside telemetry", ours=b"True", mod_wsgi=b"False")
    assert server.ask("/metrics").body == expected


def test_the_end_is_told(own_server: Server) -> None:
    receiver = Receiver(own_server)
    receiver.until(lambda: receiver.of(METRICS), "the daemon process tells", 30)
    assert own_server.process is not None
    own_server.process.terminate()
    [stopped] = receiver.until(lambda: receiver.of(STOPPED), "its end")
    assert stopped.fields[130] == "shutdown_signal" and stopped.fields[135] == 1 and stopped.fields[131] > 0
    [stopping] = receiver.of(STOPPING)
    assert stopping.fields[130] == "shutdown_signal" and stopping.seq < stopped.seq
    own_server.process.wait(harness.STOP_SECONDS)
    # The fixture ends a server that runs.
    receiver.socket.close()
    (own_server.root / "telemetry.sock").unlink()
    own_server.start()
    # mod_wsgi's daemon process outlives a stop that meets it while its Python starts.
    own_server.ask("/metrics")
