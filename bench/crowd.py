"""Clients by the thousand on one thread: they ask, they wait, they count what they got. Also clients that only hold a connection,
and one that asks again and again beside them.

Nothing is retried: a request without a whole 200 is a failed one, and the tally says how it failed.
"""

from __future__ import annotations

import select
import socket
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from types import TracebackType

import client

OUT = select.EPOLLOUT | select.EPOLLERR | select.EPOLLHUP
IN = select.EPOLLIN | select.EPOLLERR | select.EPOLLHUP


@dataclass
class Tally:
    """What became of requests. `failed`: by status, `broken` (reset, refused or cut off), `late` (no answer in time)."""

    seconds: list[float] = field(default_factory=list)
    failed: Counter[str] = field(default_factory=Counter)
    bodies: set[bytes] = field(default_factory=set)

    @property
    def asked(self) -> int:
        return len(self.seconds) + self.failed.total()

    def quantile(self, share: float) -> float | None:
        """Milliseconds, of the requests that were answered."""
        if not self.seconds:
            return None
        ordered = sorted(self.seconds)
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)] * 1000


class Client:
    """One connection with its request."""

    __slots__ = ("socket", "began", "left", "got", "start", "need", "head")

    def __init__(self, port: int, request: bytes) -> None:
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.socket.connect_ex(("127.0.0.1", port))
        self.begin(request)

    def begin(self, request: bytes) -> None:
        self.began, self.left, self.got = time.monotonic(), request, b""
        # Bytes of the whole answer, known with its head.
        self.need: int | None = None
        self.start, self.head = 0, b""


class Crowd:
    """`count` clients with the same request. With `again`, each asks until the time is over; on a new connection where the request or
    the server says `Connection: close`, or where the last one broke."""

    def __init__(self, port: int, count: int, target: str, again: bool, patience: float = 20.0, close: bool = False) -> None:
        self.port, self.count, self.again, self.patience, self.close = port, count, again, patience, close
        headers = [("Connection", "close")] if close else []
        self.request = client.message("GET", target, headers)
        self.tally = Tally()
        self.epoll = select.epoll()
        self.clients: dict[int, Client] = {}
        self.idle: list[Client] = []

    def __enter__(self) -> Crowd:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.end()

    def end(self) -> None:
        """Closes every connection."""
        for one in [*self.clients.values(), *self.idle]:
            one.socket.close()
        self.clients.clear()
        self.idle.clear()
        self.epoll.close()

    def start(self) -> None:
        one = Client(self.port, self.request)
        self.clients[one.socket.fileno()] = one
        self.epoll.register(one.socket.fileno(), OUT)

    def run(self, seconds: float) -> Tally:
        """Until the time is over; without `again` also until everybody has an answer or none in time."""
        for _ in range(self.count):
            self.start()
        end, looked = time.monotonic() + seconds, time.monotonic()
        restart: list[float] = []
        while (now := time.monotonic()) < end and (self.clients or restart):
            for number, events in self.epoll.poll(0.05, 1024):
                if one := self.clients.get(number):
                    if not self.step(one, events):
                        # Not at once, so that a server that is gone is not asked ten thousand times a second.
                        restart.append(now + 0.02)
            while restart and restart[0] <= now:
                restart.pop(0)
                if self.again:
                    self.start()
            if now - looked > 0.2:
                looked = now
                for one in [one for one in self.clients.values() if now - one.began > self.patience]:
                    self.fail(one, "late")
                    restart.append(now)
        if not self.again:
            for one in list(self.clients.values()):
                self.fail(one, "late")
        return self.tally

    def step(self, one: Client, events: int) -> bool:
        """Goes on with one; False where its connection broke."""
        try:
            if one.left:
                sent = one.socket.send(one.left)
                one.left = one.left[sent:]
                if not one.left:
                    self.epoll.modify(one.socket.fileno(), IN)
                return True
            block = one.socket.recv(1 << 16)
        except BlockingIOError:
            return True
        except OSError:
            return self.fail(one, "broken")
        if not block:
            return self.fail(one, "broken")
        one.got += block
        if one.need is None and (end := one.got.find(b"\r\n\r\n")) >= 0:
            one.head = one.got[:end].lower()
            length = one.head.partition(b"content-length:")[2].split(b"\r\n")[0].strip()
            # A refusal without a length ends with its connection: its head says enough.
            one.start = end + 4
            one.need = one.start + (int(length) if length.isdigit() else 0)
        if one.need is not None and len(one.got) >= one.need:
            self.answered(one)
        return True

    def answered(self, one: Client) -> None:
        status, now = one.got[9:12], time.monotonic()
        if status == b"200":
            self.tally.seconds.append(now - one.began)
            self.tally.bodies.add(one.got[one.start : one.need])
        else:
            self.tally.failed[status.decode("latin-1")] += 1
        if not self.again:
            self.forget(one)
            self.idle.append(one)
        elif self.close or b"connection: close" in one.head:
            self.drop(one)
            self.start()
        else:
            one.begin(self.request)
            self.epoll.modify(one.socket.fileno(), OUT)

    def fail(self, one: Client, how: str) -> bool:
        self.tally.failed[how] += 1
        self.drop(one)
        return False

    def forget(self, one: Client) -> None:
        self.epoll.unregister(one.socket.fileno())
        del self.clients[one.socket.fileno()]

    def drop(self, one: Client) -> None:
        self.forget(one)
        one.socket.close()

    def open(self) -> int:
        """Those of the answered connections that the server has not closed."""
        held = 0
        for one in self.idle:
            try:
                held += one.socket.recv(1) != b""
            except BlockingIOError:
                held += 1
            except OSError:
                continue
        return held


def hold(port: int, count: int, data: bytes, window: int | None = None, seconds: float = 10.0) -> list[socket.socket]:
    """As many connections as the server takes, each with these bytes sent and nothing read; `window`: receive buffer in bytes."""
    held = []
    end = time.monotonic() + seconds
    for _ in range(count):
        if time.monotonic() > end:
            break
        one = socket.socket()
        if window is not None:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        one.settimeout(1.0)
        try:
            one.connect(("127.0.0.1", port))
            one.setblocking(False)
            one.send(data)
        except OSError:
            one.close()
            continue
        held.append(one)
    return held


class Bystander(threading.Thread):
    """Asks for `/fast` on a new connection each time, 50 times a second at most, until it is told to stop."""

    def __init__(self, port: int, target: str = "/fast", patience: float = 2.0) -> None:
        super().__init__(daemon=True)
        self.port, self.patience, self.tally = port, patience, Tally()
        self.request = client.message("GET", target, [("Connection", "close")])
        self.over = threading.Event()

    def __enter__(self) -> Bystander:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.join()

    def run(self) -> None:
        while not self.over.is_set():
            began = time.monotonic()
            try:
                with client.Connection(self.port, self.patience) as connection:
                    connection.send(self.request)
                    answer = connection.response()
                if answer.status == 200 and answer.complete:
                    self.tally.seconds.append(time.monotonic() - began)
                else:
                    self.tally.failed[str(answer.status)] += 1
            except TimeoutError:
                self.tally.failed["late"] += 1
            except (OSError, client.Broken, ValueError):
                self.tally.failed["broken"] += 1
            self.over.wait(0.02)
