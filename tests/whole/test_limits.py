"""Identity and limits of a worker, and the timers that the scenario suite leaves out."""

from __future__ import annotations

import os
import pwd
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import client
import harness
import pytest
from harness import APPS, until
from running import Gilkeeper, readable_by_others

Start = Callable[..., Gilkeeper]


def one(gilkeeper: Start, options: str, extra: str = "") -> Gilkeeper:
    conf = f"""
{extra}
WSGIDaemonProcess one {options}
WSGIScriptAlias / ${{APP}}/probes.py process-group=one application-group=%{{GLOBAL}}
"""
    return gilkeeper([APPS / "probes.py"], conf)


def limit(pid: int, name: str) -> tuple[str, str]:
    """Soft and hard limit of /proc/PID/limits."""
    found = re.search(rf"^{name}\s+(\S+)\s+(\S+)", Path(f"/proc/{pid}/limits").read_text(), re.M)
    assert found
    return found[1], found[2]


@pytest.mark.of_daemon_mode("user= is of daemon mode")
def test_user(gilkeeper: Start) -> None:
    """Root starts the worker as another user; everybody else starts it as himself."""
    if os.getuid() != 0:
        assert one(gilkeeper, "threads=2 home=${APP}").ask("/where").json["uid"] == os.getuid()
        return
    # A Python in a home folder that is closed to others, as root's with pyenv, can be started by nobody else.
    if not readable_by_others(str(Path(harness.gilkeeper()).parent / "python")):
        pytest.skip("another user could not run this Python: a folder on its way is closed to others")
    server = one(gilkeeper, "threads=2 home=${APP} user=nobody")
    seen = server.ask("/where").json
    nobody = pwd.getpwnam("nobody")
    assert (seen["uid"], seen["gid"]) == (nobody.pw_uid, nobody.pw_gid)
    status = Path(f"/proc/{seen['pid']}/status").read_text()
    assert re.search(r"^Uid:\s+(\d+)\s+\1\s+\1\s+\1$", status, re.M), "no way back to root"
    assert re.search(r"^NoNewPrivs:\s+1$", status, re.M), "nor by a setuid program"


def test_no_new_privileges(gilkeeper: Start) -> None:
    pid = one(gilkeeper, "threads=1 no-new-privileges=On").ask("/where").json["pid"]
    assert re.search(r"^NoNewPrivs:\s+1$", Path(f"/proc/{pid}/status").read_text(), re.M)


def test_a_group_that_cannot_start_ends_the_server_with_a_sentence(gilkeeper: Start) -> None:
    """Reported: `home=` with a folder that is not there ended the server without its name; with ErrorLog the terminal stayed silent."""
    conf = "WSGIDaemonProcess one home=/nowhere/at/all\nWSGIScriptAlias / ${APP}/probes.py process-group=one\n"
    server = Gilkeeper([APPS / "probes.py"], conf)
    (server.root / "server.conf").write_text(server.configuration())
    told = subprocess.run(server.command(), cwd=server.root, capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL)
    assert told.returncode in (1, 2), told
    assert "WSGI0009" in server.log() and "'/nowhere/at/all'" in server.log()
    assert str(server.error_log) in told.stderr
    server.clean()


def test_umask_language_and_home(gilkeeper: Start) -> None:
    server = one(gilkeeper, "threads=1 umask=0027 lang=C.UTF-8 locale=C.UTF-8 home=${APP}")
    seen = server.ask("/where").json
    assert (seen["umask"], seen["lang"], seen["lc_all"], seen["cwd"]) == (0o027, "C.UTF-8", "C.UTF-8", str(server.root / "app"))


def test_memory_limit(gilkeeper: Start) -> None:
    server = one(gilkeeper, "threads=1 memory-limit=500000000 virtual-memory-limit=2000000000")
    pid = server.ask("/where").json["pid"]
    assert limit(pid, "Max data size")[0] == "500000000"
    assert limit(pid, "Max address space")[0] == "2000000000"


def test_cpu_limits(gilkeeper: Start) -> None:
    server = one(gilkeeper, "threads=2 cpu-priority=5 cpu-time-limit=60 shutdown-timeout=5")
    pid = server.ask("/where").json["pid"]
    assert os.getpriority(os.PRIO_PROCESS, pid) == 5
    assert limit(pid, "Max cpu time") == ("60", "66")


def test_a_used_up_cpu_limit_drains_the_worker(gilkeeper: Start) -> None:
    """Reported: `cpu-time-limit=` killed the worker with its requests, since nobody received the soft limit's signal."""
    server = one(gilkeeper, "threads=2 cpu-time-limit=2 graceful-timeout=5 shutdown-timeout=5")
    pid = server.ask("/where").json["pid"]

    def another() -> bool:
        # The limit counts seconds of CPU; a busy machine gives the worker less than one a second.
        assert server.ask("/spin?seconds=1").body == b"spun"
        return server.ask("/where").json["pid"] != pid

    until(another, "another worker answers", 60)


def test_the_process_title(gilkeeper: Start) -> None:
    """Reported: `display-name=` had no effect; `ps` showed the command line."""
    server = one(gilkeeper, "threads=1 display-name=%{GROUP}")
    assert "(wsgi:one)" in harness.command_of(server.ask("/where").json["pid"])


@pytest.mark.of_daemon_mode("the connection ends with the process that serves it")
def test_a_request_timeout_logs_the_stack(gilkeeper: Start) -> None:
    """Reported: at LogLevel warn nothing said why the worker was replaced."""
    server = one(gilkeeper, "threads=1 request-timeout=1 graceful-timeout=1 shutdown-timeout=1", "LogLevel warn\nGilkeeperRequestId On")
    pid = server.ask("/where").json["pid"]
    server.mark_log()
    assert server.ask("/sleep?seconds=30").status in (502, 504)
    # Reported: the line had a number in place of the id, which all other lines of the request have.
    server.wait_log(r"(?s)longer than request-timeout=1 allows.*GET /sleep for \d\.\d s \(request [0-9a-f]{32}\).*in sleep")
    until(lambda: server.ask("/where").json["pid"] != pid, "another worker answers")


def test_requests_that_wait_too_long_are_a_503(gilkeeper: Start) -> None:
    server = one(gilkeeper, "threads=1 queue-timeout=1")
    server.ask("/single")
    waiting = [server.connect() for _ in range(4)]
    waiting[0].send(client.message("GET", "/sleep?seconds=12"))
    # Of requests that come at once over several connections, any may be the first.
    until(lambda: server.status()["workers"][0]["busy"] == 1, "the only thread is busy")
    for connection in waiting[1:]:
        connection.send(client.message("GET", "/single"))
    answers = [connection.response() for connection in waiting]
    assert answers[0].body == b"slept"
    assert {answer.status for answer in answers[1:]} == {503}
    assert all(answer.get("Retry-After") for answer in answers[1:])
    for connection in waiting:
        connection.close()


def test_a_fast_route_beside_a_slow_one(gilkeeper: Start) -> None:
    """While a thread is free, a slow route does not delay a fast one."""
    conf = """
WSGIDaemonProcess one threads=4
WSGIScriptAlias / ${APP}/sleep5.py process-group=one application-group=%{GLOBAL}
"""
    server = gilkeeper([APPS / "sleep5.py"], conf)
    server.ask("/fast")
    slow = [server.connect() for _ in range(3)]
    for connection in slow:
        connection.send(client.message("GET", "/slow") * 5)
    took = []
    with server.connect() as connection:
        for _ in range(100):
            begun = time.monotonic()
            connection.send(client.message("GET", "/fast"))
            assert connection.response().status == 200
            took.append(time.monotonic() - begun)
    # A slow one takes half a second. The median, as a busy machine may pause for a moment.
    assert sorted(took)[50] < 0.4, sorted(took)[40:]
    for connection in slow:
        assert all(connection.response().status == 200 for _ in range(5))
        connection.close()


@pytest.mark.of_daemon_mode("without a process nobody accepts, and clients wait")
def test_a_crash_loop_backs_off(gilkeeper: Start) -> None:
    """A worker that dies at once is not started thousands of times, and the front answers 503 or 502 meanwhile."""
    conf = """
GilkeeperKeepTrying On
WSGIDaemonProcess dies threads=1
WSGIImportScript ${APP}/dies.py process-group=dies application-group=%{GLOBAL}
WSGIScriptAlias / ${APP}/dies.py process-group=dies application-group=%{GLOBAL}
"""
    server = Gilkeeper([APPS / "probes.py"], conf)
    (server.root / "app" / "dies.py").write_text("import os\nopen('starts', 'a').write('x')\nos._exit(7)\n")
    try:
        server.start()
        assert server.ask("/", timeout=60.0).status in (500, 502, 503, 504)
        assert len((server.root / "data" / "starts").read_text()) < 50
    finally:
        server.stop()
        server.clean()


@pytest.mark.parametrize("group", ["%{GLOBAL}", "sub"])
def test_an_import_that_does_not_end_is_shown(gilkeeper: Start, group: str) -> None:
    """Reported: `startup-timeout` ended a worker without a word about its import; in a sub-interpreter the stack was that of worker.py."""
    conf = f"LogLevel warn\nWSGIDaemonProcess one startup-timeout=6\nWSGIScriptAlias / ${{APP}}/stuck.py process-group=one application-group={group}\n"
    server = Gilkeeper([], conf)
    (server.root / "app" / "stuck.py").write_text("import threading\ndef waits_here():\n    threading.Event().wait(60)\nwaits_here()\n")
    try:
        server.start()
        server.wait_log(r"not ready [45]\.\d s after its start, and is stopped when it is not after 6 s \(startup-timeout\): it imports .*/stuck\.py")
        server.wait_log(r'(?s)The stack of the import of .*stuck\.py", line 3, in waits_here')
        server.wait_log(r"was not ready within 6 s \(startup-timeout\)")
    finally:
        server.kill()
    server.clean()


@pytest.mark.of_daemon_mode("the connection ends with the process that serves it")
def test_a_first_request_that_imports_for_ever_says_why_its_worker_is_replaced(gilkeeper: Start) -> None:
    """Reported: at LogLevel warn the log named neither option nor seconds nor stack, and the worker was replaced at once, again and again."""
    conf = r"""
LogLevel warn
WSGIDaemonProcess one threads=1 startup-timeout=3 shutdown-timeout=1 connect-timeout=1
WSGIScriptAliasMatch ^/([a-z]+) ${APP}/$1.py process-group=one application-group=sub
"""
    server = Gilkeeper([], conf)
    (server.root / "app" / "stuck.py").write_text("import threading\ndef waits_here():\n    threading.Event().wait(60)\nwaits_here()\n")
    try:
        server.start()
        for number in (1, 2):
            assert server.ask("/stuck", timeout=60.0).status in (502, 503, 504)
            server.wait_log(rf"failure {number} in a row, the next process starts in 0\.{number} s", 20)
        server.wait_log(r'(?s)startup-timeout=3\); this process is replaced.*GET /stuck for .*\(request \d+\).*stuck\.py", line 3, in waits_here', 30)
    finally:
        server.kill()
    server.clean()
