"""A script that plays systemd: it opens sockets and gives them by name, listens to notices as `NotifyAccess=main` does, and reloads as
`Type=notify-reload` does."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import socket
import struct
import subprocess
import tempfile
import time
import uuid
from pathlib import Path

import harness

# Above every descriptor that the service gets.
HIGH = 100


def listening(address: tuple[str, int] | str) -> socket.socket:
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    one = socket.socket(family)
    one.bind(address)
    one.listen(128)
    return one


def open_folder() -> Path:
    """A folder that every user may read."""
    made = Path(tempfile.mkdtemp(prefix="gilkeeper-whole-"))
    made.chmod(0o755)
    return made


class Manager:
    """One service. Its main process is followed over `MAINPID=`."""

    def __init__(self, abstract: bool = False) -> None:
        self.run = uuid.uuid4().hex
        self.root = open_folder()
        self.notices = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notices.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.address = f"@gilkeeper-test-{self.run}" if abstract else str(self.root / "notify")
        self.notices.bind("\0" + self.address[1:] if abstract else self.address)
        self.main = 0
        self.said: list[dict[str, str]] = []
        self.ignored: list[tuple[int, str]] = []
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, command: list[str], sockets: dict[str, socket.socket], **environment: str) -> None:
        high = [fcntl.fcntl(one, fcntl.F_DUPFD, HIGH) for one in sockets.values()]
        placed = " ".join(f"{3 + number}<&{fd} {fd}<&-" for number, fd in enumerate(high))
        moved = f"exec {placed}; export LISTEN_PID=$$; " if high else ""
        variables = {"LISTEN_FDS": str(len(high)), "LISTEN_FDNAMES": ":".join(sockets)} if high else {}
        handed_on = {name: os.environ[name] for name in (*harness.HANDED_ON, "PATH", "HOME") if name in os.environ}
        with open(self.root / "console.log", "ab") as console:
            self.process = subprocess.Popen(
                ["bash", "-c", f'{moved}exec "$@"', "bash", *command],
                cwd=self.root,
                env={**handed_on, **variables, "NOTIFY_SOCKET": self.address, harness.MARK: self.run, **environment},
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                pass_fds=high,
                start_new_session=True,
            )
        for fd in high:
            os.close(fd)
        self.main = self.process.pid

    def hear(self, seconds: float) -> bool:
        """Takes one notice, if one comes in time."""
        if not select.select([self.notices], [], [], seconds)[0]:
            return False
        text, ancillary, _, _ = self.notices.recvmsg(4096, 256)
        sender = next(struct.unpack("3i", data)[0] for _, kind, data in ancillary if kind == socket.SCM_CREDENTIALS)
        if sender != self.main:
            self.ignored.append((sender, text.decode()))
            return True
        fields = dict(line.partition("=")[::2] for line in text.decode().splitlines())
        self.said.append(fields)
        self.main = int(fields.get("MAINPID", self.main))
        return True

    def wait(self, name: str, seconds: float = 30.0) -> dict[str, str]:
        """The next notice with that field."""
        end = time.monotonic() + seconds
        seen = len(self.said)
        while True:
            for fields in self.said[seen:]:
                if name in fields:
                    return fields
            seen = len(self.said)
            assert self.hear(max(0.0, end - time.monotonic())), f"no {name} within {seconds} s: {self.said}\n{self.console()}"

    def reload(self, seconds: float = 30.0) -> dict[str, str]:
        """`systemctl reload` of a service of `Type=notify-reload`: the signal, then RELOADING of after it, then READY."""
        begun = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        os.kill(self.main, signal.SIGHUP)
        while int(self.wait("RELOADING", seconds)["MONOTONIC_USEC"]) < begun:
            pass
        return self.wait("READY", seconds)

    def stop(self, seconds: float = 30.0) -> int:
        """`systemctl stop` with `KillMode=mixed`: the main process is told, and nothing may be left when it has ended."""
        assert self.process is not None
        main = self.main
        os.kill(main, signal.SIGTERM)
        self.wait("STOPPING", seconds)
        if main == self.process.pid:
            status = self.process.wait(seconds)
        else:
            self.process.wait(seconds)
            harness.until(lambda: main not in harness.processes_of(self.run), "the main process has ended", seconds)
            status = 0
        harness.until(lambda: not harness.processes_of(self.run), "every process has ended", seconds)
        return status

    def kill(self) -> None:
        for pid in harness.processes_of(self.run):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        if self.process is not None:
            self.process.wait(20)
        self.notices.close()

    def console(self) -> str:
        return (self.root / "console.log").read_text(errors="replace")
