"""A full disk below the server root, the access log and the error log: requests that need no room there go on."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import client
import pytest
from harness import APPS, until
from running import MEGABYTE, Gilkeeper

Start = Callable[..., Gilkeeper]
CONF = """
GilkeeperBodyBufferSize 65536
LimitRequestBody 0
WSGIChunkedRequest On
WSGIDaemonProcess one threads=2
WSGIScriptAlias / ${APP}/probes.py process-group=one application-group=%{GLOBAL}
"""


class Disk:
    """A file system of one megabyte."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.ballast = folder, folder / "ballast"

    def fill(self) -> None:
        """To the last byte."""
        with open(self.ballast, "ab", buffering=0) as file:
            for size in (4096, 1):
                try:
                    while file.write(b"b" * size):
                        pass
                except OSError:
                    continue

    def clear(self) -> None:
        self.ballast.unlink()


@pytest.fixture
def disk() -> Iterator[Disk]:
    """Asked for before `gilkeeper`, it is there until the server has ended."""
    folder = Path(tempfile.mkdtemp(prefix="gilkeeper-disk-"))
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=0755", "gilkeeper-test", folder], capture_output=True, text=True)
    if mounted.returncode:
        folder.rmdir()
        # Not root, or a container without CAP_SYS_ADMIN.
        pytest.skip(f"a full disk is a small file system of our own, and mounting one is not allowed here: {mounted.stderr.strip()}")
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", folder], check=True)
        folder.rmdir()


def lines(server: Gilkeeper, code: str) -> list[str]:
    return [line for line in server.log().splitlines() if code in line]


@pytest.mark.parametrize("kind", ["length", "chunked"])
def test_a_body_that_finds_no_room(disk: Disk, gilkeeper: Start, kind: str) -> None:
    """Reported: on a full disk an upload failed and no line of the log named the folder."""
    server = gilkeeper([APPS / "probes.py"], CONF, server_root=disk.folder)

    def upload(size: int) -> client.Response:
        with server.connect() as connection:
            if kind == "length":
                connection.send(client.message("POST", "/count", {"Content-Length": str(size)}) + b"u" * size)
            else:
                connection.send(client.message("POST", "/count", {"Transfer-Encoding": "chunked"}) + client.chunked(b"u" * size))
            return connection.response()

    disk.fill()
    answer = upload(MEGABYTE // 2)
    assert (answer.status, answer.get("Retry-After")) == (503, "1")
    # What stays in memory needs no disk.
    assert server.ask("/count", "POST", body=b"s" * 1000).json["length"] == 1000
    assert server.ask("/single").status == 200
    server.wait_log("GK0013")
    (said,) = lines(server, "GK0013")
    assert str(disk.folder) in said and "No space left on device" in said and "make room" in said
    assert "[client 127.0.0.1:" in said
    # The same upload works when there is room, and one that fails in its middle leaves the room as it was.
    disk.clear()
    for _ in range(3):
        assert upload(MEGABYTE // 2).json["length"] == MEGABYTE // 2
        assert upload(4 * MEGABYTE).status == 503
    until(lambda: len(lines(server, "GK0013")) == 4, "a line for each that failed")
    subprocess.run(["mount", "-o", "remount,size=16m", disk.folder], check=True)
    assert upload(4 * MEGABYTE).json["length"] == 4 * MEGABYTE


def test_an_access_log_that_finds_no_room(disk: Disk, gilkeeper: Start) -> None:
    """Reported: on a full disk lines of the access log were lost without a word, and half a line was left before the next one."""
    log = disk.folder / "access.log"
    conf = f'LogFormat "begin %U%q end" whole\nCustomLog {log} whole\n{CONF}'
    server = gilkeeper([APPS / "probes.py"], conf)
    long = "x" * 3000
    assert server.ask(f"/single?{long}").status == 200
    until(lambda: log.read_text().count("\n") == 1, "a line in the access log")
    disk.fill()
    for number in range(20):
        assert server.ask(f"/single?lost={number}{long}").status == 200
    server.wait_log("GK0015")
    for number in range(20):
        assert server.ask(f"/single?lost={number}{long}").status == 200
    # The other log of the same requests has them all.
    until(lambda: len(server.access()) == 41, "forty-one lines in the other access log")
    (said,) = lines(server, "GK0015")
    assert str(log) in said and "No space left on device" in said and "make room" in said
    disk.clear()
    assert server.ask("/single?again").status == 200
    until(lambda: "again" in log.read_text(), "lines in the access log again")
    told = server.wait_log(r"GK0015: the access log .* is written again; (\d+) lines were lost")
    written = log.read_text().splitlines()
    assert written[-1] == "begin /single?again end"
    whole = [line for line in written if re.fullmatch(r"begin \S+ end", line)]
    # One may have been cut off where the disk ended.
    assert len(written) - len(whole) <= 1
    assert int(told[1]) == 42 - len(whole)


def test_an_error_log_that_finds_no_room(disk: Disk, gilkeeper: Start) -> None:
    """Reported: on a full disk lines of the error log were lost without a word, and half a line was left before the next one."""
    server = gilkeeper([APPS / "probes.py"], CONF, error_log=disk.folder / "error.log")
    assert server.ask("/errors?text=first").status == 200
    server.wait_log("stderr: first")
    disk.fill()
    for number in range(30):
        assert server.ask(f"/errors?text={number}{'x' * 300}").body == b"logged"
    assert server.ask("/raise").status == 500
    assert server.ask("/single").status == 200
    disk.clear()
    server.mark_log()
    assert server.ask("/errors?text=again").status == 200
    server.wait_log("stderr: again")
    lost = re.findall(r"(\d+) lines of the error log could not be written", server.log())
    # Four lines of thirty requests and a traceback; what there was room for until the end of the last block is written.
    assert len(lost) == 1 and int(lost[0]) > 60
    # Each line is whole, but for one that was cut off where the disk ended.
    assert sum(not line.startswith("[") for line in server.log().splitlines()) == 0
    assert sum(line.count("] [pid ") != 1 for line in server.log().splitlines()) <= 1


def test_both_logs_on_a_device_that_is_always_full(gilkeeper: Start) -> None:
    """Reported: on a full disk lines of both logs were lost without a word. Needs no file system of our own."""
    server = gilkeeper([APPS / "probes.py"], f"ErrorLog /dev/full\nCustomLog /dev/full common\n{CONF}")
    for _ in range(20):
        assert server.ask("/errors").body == b"logged"
    assert server.ask("/raise").status == 500
    # A new worker starts all the same.
    pid = server.ask("/where").json["pid"]
    assert server.tell("reload").returncode == 0
    # One of several fronts may have accepted the connection before it left.
    until(lambda: server.ask("/where").json["pid"] != pid, "the new worker answers")
