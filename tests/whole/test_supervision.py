"""The supervisor's promises: broken links have an owner, crash storms end at once, hung processes are seen, readiness is true."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import client
import harness
import pytest
from harness import until
from running import Gilkeeper

Start = Callable[..., Gilkeeper]
SCRIPT = '''
import os
import re
import socket
import stat


def application(environ, start_response):
    deed = environ["PATH_INFO"]
    if deed == "/crash":
        os.abort()
    if deed == "/shut":
        for number in range(3, 64):
            shut(number)
    if deed == "/damage":
        damage()
    if deed == "/note":
        with open(os.path.join(os.path.dirname(__file__), "notes"), "a") as notes:
            notes.write(environ["QUERY_STRING"] + "\\n")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]


def shut(number):
    """Ends a link as an application does that closes descriptors which are not its own."""
    try:
        if stat.S_ISSOCK(os.fstat(number).st_mode):
            with socket.socket(fileno=os.dup(number)) as one:
                if one.family == socket.AF_UNIX and one.type == socket.SOCK_STREAM:
                    one.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass


def damage():
    """Writes over the counters of the link's rings, as a stray pointer of an extension module may."""
    with open("/proc/self/maps") as maps, open("/proc/self/mem", "r+b", buffering=0) as memory:
        for line in maps:
            if found := re.match(r"([0-9a-f]+)-\\S+ rw-s .*memfd:gilkeeper-link", line):
                memory.seek(int(found[1], 16) + 512)
                memory.write(bytes(range(256)) * 2)
'''


def served(gilkeeper: Start, folder: Path, *arguments: str, admin: int | None = None) -> Gilkeeper:
    (folder / "deeds.py").write_text(SCRIPT)
    server = gilkeeper([folder], arguments=["{app}/deeds.py", *arguments], admin=admin)
    until(lambda: "Serving" in server.console(), "it serves")
    return server


def answered(server: Gilkeeper) -> str | None:
    try:
        answer = server.ask("/", timeout=5)
    except (OSError, client.Broken):
        return None
    return answer.body.decode() if answer.status == 200 else None


def pages(server: Gilkeeper) -> Callable[[str], tuple[int, str]]:
    """Reads an admin page: its status and text, `(0, "")` when nobody answers."""
    admin = int(server.status()["admin"].rstrip("/").rsplit(":", 1)[1])

    def page(path: str) -> tuple[int, str]:
        try:
            answer = client.ask(admin, path, timeout=5)
        except (OSError, client.Broken):
            return 0, ""
        return answer.status, answer.body.decode()

    return page


@pytest.mark.parametrize("deed", ["/shut", "/damage"])
def test_a_worker_with_a_broken_link_is_replaced(gilkeeper: Start, tmp_path: Path, deed: str) -> None:
    """Reported: after a protocol error its worker stayed ready, and the group answered 503 for ever."""
    server = served(gilkeeper, tmp_path)
    before = answered(server)
    try:
        server.ask(deed, "POST", timeout=5)
    except (OSError, client.Broken):
        pass
    until(lambda: answered(server) not in (None, before), "another worker answers", 30)
    # In embedded mode the process sees to it itself.
    said = "the link within this process has ended" if server.is_embedded() else "replaced"
    until(lambda: said in server.console(), "the log says so")
    until(lambda: before not in map(str, server.pids()), "the old worker has ended", 30)


def test_a_crash_storm_ends_with_its_last_crash(gilkeeper: Start, tmp_path: Path) -> None:
    """Reported: a crash each 0.5 s for 15 s, and the first good answer 40 s after the last one."""
    server = served(gilkeeper, tmp_path, "--processes", "2")
    for _ in range(16):
        try:
            server.ask("/crash", "POST", timeout=5)
        except (OSError, client.Broken):
            pass
        time.sleep(0.25)
    last = time.monotonic()
    until(lambda: answered(server), "a good answer", 60)
    assert time.monotonic() - last < 30, server.console()
    assert server.console().count("ended: signal 6") >= 8, server.console()


def test_a_front_that_hangs_is_seen_and_replaced(gilkeeper: Start, tmp_path: Path) -> None:
    """Reported: the front was stopped for 18 s, and its health stayed 200."""
    server = served(gilkeeper, tmp_path, "--front-timeout", "12", admin=0)
    page = pages(server)
    until(lambda: page("/healthz") == (200, "ok\n") and page("/readyz")[0] == 200, "it is healthy")
    front = server.front()
    os.kill(front, signal.SIGSTOP)
    told = server.tell("status")
    assert "the front gives no sign of life for" in told.stdout, told
    [line] = [line for line in told.stdout.splitlines() if line.startswith(f"front: pid {front}, ")]
    assert line.endswith(", its figures are not known, 0 restarts"), told
    sick = until(lambda: (now := page("/healthz"))[0] == 503 and now[1], "its health is bad", 11)
    assert f"the front (pid {front}) gives no sign of life for" in sick
    until(lambda: page("/healthz")[0] == 200 and page("/readyz")[0] == 200, "another front is healthy", 30)
    assert answered(server) and server.front() != front


def test_a_stopped_worker_is_seen(gilkeeper: Start, tmp_path: Path) -> None:
    server = served(gilkeeper, tmp_path, admin=0)
    page = pages(server)
    [worker] = server.wait_workers(1)
    until(lambda: page("/readyz") == (200, "ready\n"), "it is ready")
    os.kill(worker, signal.SIGSTOP)
    line = f"worker 1 (pid {worker}) of process group 'default' gives no sign of life for"
    told = until(lambda: (now := page("/readyz"))[0] == 503 and now[1], "it is not ready", 12)
    assert line in told and page("/healthz")[0] == 200
    assert f"worker 1 (pid {worker}) gives no sign of life for" in server.tell("status").stdout
    [stopped] = [one for one in server.status()["workers"] if one["pid"] == worker]
    assert stopped["unanswered"] and stopped["requests"] == 0, stopped
    assert line in page("/api/v1/status")[1]
    os.kill(worker, signal.SIGCONT)
    until(lambda: page("/readyz") == (200, "ready\n"), "it is ready again")
    assert answered(server) == str(worker)


def test_an_application_that_cannot_be_imported_is_not_served(gilkeeper: Start, tmp_path: Path) -> None:
    """Reported: `/readyz` was 200 and the server said that it serves while no worker could import the application."""
    script = tmp_path / "deeds.py"
    script.write_text("def broken(:\n")
    command = [harness.gilkeeper(), "serve", str(script), "--port", "0", "--host", "127.0.0.1", "--admin", "off"]
    ended = subprocess.run([*command, "--server-root", str(tmp_path / "root")], capture_output=True, text=True, timeout=30)
    assert (ended.returncode, ended.stdout) == (3, ""), ended
    assert "SyntaxError: invalid syntax" in ended.stderr.splitlines()[-1], ended.stderr
    server = gilkeeper([script], arguments=["{app}/deeds.py", "--keep-trying"], admin=0)
    until(lambda: server.ask("/").status == 500, "it answers")
    page = pages(server)
    line = "process group 'default' has no worker"
    until(lambda: (now := page("/readyz"))[0] == 503 and line in now[1], "it is not ready")
    assert page("/healthz")[0] == 200 and "gilkeeper_ready 0" in page("/metrics")[1]
    assert "Serving" not in server.console()
    (server.root / "app" / "deeds.py").write_text(SCRIPT)
    until(lambda: "Serving" in server.console(), "it serves")
    assert page("/readyz")[0] == 200, "what it has announced is so"
    assert answered(server)


def stop(pid: int) -> None:
    """Stops a process. The signal reaches one thread, and until that one runs, the others go on and may begin requests."""
    os.kill(pid, signal.SIGSTOP)
    stats = [Path(f"/proc/{pid}/task/{task}/stat") for task in os.listdir(f"/proc/{pid}/task")]
    until(lambda: all(stat.read_text().rpartition(")")[2].split()[0] == "T" for stat in stats), "all threads are stopped")


def test_requests_of_a_stopped_worker_are_served_by_another_and_never_twice(gilkeeper: Start, tmp_path: Path) -> None:
    server = served(gilkeeper, tmp_path, "--processes", "2", "--threads", "3")
    stopped, *_ = (int(worker["pid"]) for worker in server.status()["workers"])
    noted: list[str] = []

    def together(count: int, target: Callable[[int], str], method: str) -> tuple[set[str], float]:
        """So many requests at once: what was answered, and the seconds until the last answer."""
        begun = time.monotonic()
        with contextlib.ExitStack() as stack:
            connections = [stack.enter_context(server.connect(timeout=20)) for _ in range(count)]
            for number, connection in enumerate(connections):
                connection.send(client.message(method, target(number), [("Content-Length", "0")]))
            answers = [connection.response() for connection in connections]
        assert {answer.status for answer in answers} == {200}
        return {answer.body.decode() for answer in answers}, time.monotonic() - begun

    def note(count: int) -> float:
        """So many requests that change something."""
        names = [f"n{len(noted) + number}" for number in range(count)]
        noted.extend(names)
        return together(count, lambda number: f"/note?{names[number]}", "POST")[1]

    note(4)
    for _ in range(3):
        stop(stopped)
        try:
            assert note(8) < 5
            note(4)
        finally:
            os.kill(stopped, signal.SIGCONT)
        note(4)
        until(lambda: str(stopped) in together(6, lambda _: "/", "GET")[0], "it gets requests again")
    assert sorted((server.root / "app" / "notes").read_text().split()) == sorted(noted)
