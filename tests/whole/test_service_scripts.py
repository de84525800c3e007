"""Service scripts: a script that runs beside the site, in a process without request threads."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import harness
from harness import APPS, until
from running import Gilkeeper

Start = Callable[..., Gilkeeper]

SITE = """
WSGIDaemonProcess service threads=0 {options}
WSGIImportScript ${{APP}}/service.py process-group=service application-group=%{{GLOBAL}}
WSGIDaemonProcess site threads=2
WSGIScriptAlias / ${{APP}}/hello.py process-group=site application-group=%{{GLOBAL}}
"""

# Writes a line to the file `told` in the test's folder.
TELL = """
import atexit, os, signal, sys, threading, time

def tell(text):
    with open(os.environ["DATA"] + "/told", "a") as file:
        file.write(text + "\\n")
"""

WAIT = (
    TELL
    + """
main = threading.current_thread() is threading.main_thread()
atexit.register(tell, "atexit")
signal.signal(signal.SIGUSR2, lambda number, frame: tell("USR2"))
tell(f"begun {os.getpid()} {main} {sys.argv} {os.getcwd() == os.path.dirname(__file__)}")
try:
    while True:
        # Short: a signal between CPython's last look and the system call waits for the end of the sleep.
        time.sleep(0.05)
except SystemExit:
    tell("SystemExit")
    raise
finally:
    tell("finally")
"""
)


class Service:
    """A server with a site and the service script of a test."""

    def __init__(self, gilkeeper: Start, folder: Path, script: str, options: str = "home=${APP}", **named: Any) -> None:
        folder = folder / "app"
        folder.mkdir()
        (folder / "service.py").write_text(script)
        (folder / "hello.py").write_text((APPS / "hello.py").read_text())
        self.data = folder.parent
        named = named or {"conf": SITE.format(options=options)}
        self.server = gilkeeper([folder], environment={"DATA": str(self.data)}, **named)

    def told(self) -> list[str]:
        path = self.data / "told"
        return path.read_text().splitlines() if path.exists() else []

    def wait(self, number: int, what: str = "begun") -> list[str]:
        """The first `number` lines that begin so."""
        lines = lambda: [line for line in self.told() if line.startswith(what)]  # noqa: E731
        return until(lambda: len(lines()) >= number and lines()[:number], f"{number} lines '{what}', not {self.told()}", 30)

    def pids(self, number: int) -> list[int]:
        return [int(line.split()[1]) for line in self.wait(number)]

    def process(self, group: str = "service") -> list[dict[str, Any]]:
        return [one for one in self.server.status()["workers"] if one["process_group"] == group]


def test_it_runs_on_the_main_thread_beside_the_site(gilkeeper: Start, tmp_path: Path) -> None:
    one = Service(gilkeeper, tmp_path, WAIT)
    (line,) = one.wait(1)
    pid = one.pids(1)[0]
    assert line == f"begun {pid} True ['mod_wsgi'] True"
    assert one.server.ask("/").status == 200
    (shown,) = one.process()
    assert (shown["pid"], shown["state"], shown["threads"], shown["requests"]) == (pid, "ready", 0, 0)
    table = one.server.tell("status").stdout
    (row,) = [row.split() for row in table.splitlines() if row.startswith("service")]
    assert row[6:9] == ["-", "-", "-"], table
    # Signals are the script's own.
    os.kill(pid, signal.SIGUSR2)
    one.wait(1, "USR2")
    assert one.told() == [line, "USR2"]


def test_the_end_of_the_server_is_a_system_exit(gilkeeper: Start, tmp_path: Path) -> None:
    one = Service(gilkeeper, tmp_path, WAIT)
    one.wait(1)
    assert one.server.stop() == 0
    assert one.told()[1:] == ["SystemExit", "finally", "atexit"]
    assert "Traceback" not in one.server.log()


def test_ctrl_c_ends_it_once(gilkeeper: Start, tmp_path: Path) -> None:
    """The terminal sends SIGINT to every process of the foreground group at once."""
    one = Service(gilkeeper, tmp_path, WAIT)
    one.wait(1)
    assert one.server.process is not None
    os.killpg(one.server.process.pid, signal.SIGINT)
    assert one.server.process.wait(20) == 0
    until(lambda: not one.server.pids(), "every process has ended")
    assert one.told()[1:] == ["SystemExit", "finally", "atexit"]
    assert "Traceback" not in one.server.log() + one.server.console()


def test_one_that_does_not_end_is_killed(gilkeeper: Start, tmp_path: Path) -> None:
    script = TELL + 'signal.signal(signal.SIGTERM, lambda *_: tell("not me"))\ntell("begun")\nwhile True: time.sleep(3600)\n'
    one = Service(gilkeeper, tmp_path, script, "shutdown-timeout=1")
    one.wait(1)
    assert one.server.stop() == 0
    assert one.told() == ["begun", "not me"]
    assert "did not stop within shutdown-timeout and is killed" in one.server.log()


def test_one_that_ends_begins_anew(gilkeeper: Start, tmp_path: Path) -> None:
    one = Service(gilkeeper, tmp_path, TELL + 'atexit.register(tell, "atexit")\ntell(f"begun {os.getpid()}")\n')
    assert len(set(one.pids(4))) == 4
    one.server.wait_log("failure 3 in a row, the next process starts in 0.2 s")
    assert "Traceback" not in one.server.log()
    assert [line.split()[0] for line in one.told()[:6]] == ["begun", "atexit"] * 3
    assert one.server.ask("/").status == 200


def test_one_that_is_killed_begins_anew(gilkeeper: Start, tmp_path: Path) -> None:
    one = Service(gilkeeper, tmp_path, WAIT)
    os.kill(one.pids(1)[0], signal.SIGKILL)
    first, second = one.pids(2)
    assert first != second
    os.kill(second, signal.SIGTERM)
    one.pids(3)


def test_a_broken_script_is_tried_again_while_the_site_serves(gilkeeper: Start, tmp_path: Path) -> None:
    one = Service(gilkeeper, tmp_path, "def broken(:\n")
    one.server.wait_log("SyntaxError: invalid syntax")
    one.server.wait_log("WSGI0106")
    one.server.wait_log("process group 'service': failure 3 in a row")
    assert one.server.ask("/").status == 200
    (one.server.root / "app" / "service.py").write_text(WAIT)
    one.wait(1)


def test_an_exception_is_logged(gilkeeper: Start, tmp_path: Path) -> None:
    one = Service(gilkeeper, tmp_path, 'raise ValueError("as it happens")\n')
    one.server.wait_log("Service script '.*/service.py' raised an exception")
    one.server.wait_log("ValueError: as it happens")
    one.server.wait_log("of process group 'service' ended: exit status 1")


def test_a_reload_ends_it_before_the_new_one_begins(gilkeeper: Start, tmp_path: Path) -> None:
    one = Service(gilkeeper, tmp_path, WAIT)
    one.wait(1)
    for count, arguments in enumerate((["reload"], ["reload", "service"]), 2):
        told = one.server.tell(*arguments)
        assert told.returncode == 0 and "service script" in told.stdout + told.stderr, told
        one.wait(count)
        assert one.told()[-4:-1] == ["SystemExit", "finally", "atexit"]
    assert one.server.process is not None
    one.server.process.send_signal(signal.SIGHUP)
    one.wait(4)
    pids = one.pids(4)
    assert len(set(pids)) == 4
    until(lambda: [p["pid"] for p in one.process()] == pids[-1:], "status shows the new one")
    assert one.process()[0]["generation"] == 4


def test_nobody_waits_for_it(gilkeeper: Start, tmp_path: Path) -> None:
    """A script at its work for longer than startup-timeout, and one that cannot begin at all."""
    port = harness.free_port()
    conf = SITE.format(options="startup-timeout=3 home=${APP}").replace("service.py", "nowhere.py")
    conf += "WSGIDaemonProcess other threads=0 startup-timeout=3\n"
    conf += "WSGIImportScript ${APP}/service.py process-group=other application-group=%{GLOBAL}\n"
    one = Service(gilkeeper, tmp_path, WAIT, conf=conf, admin=port)
    pid = one.pids(1)[0]
    until(lambda: harness.client.ask(port, "/readyz").status == 200, "it is ready")
    until(lambda: "service: 1 process x service script" in one.server.console(), "the URL is printed")
    assert one.server.tell("reload", "site").returncode == 0
    until(lambda: one.process("other")[0]["uptime"] > 3.5, "startup-timeout is over")
    assert one.process("other")[0]["pid"] == pid


def test_from_the_command_line(gilkeeper: Start, tmp_path: Path) -> None:
    library = tmp_path / "library"
    library.mkdir()
    (library / "of_the_service.py").write_text("")
    arguments = ["{app}/hello.py", "--service-script", "tasks", "{app}/service.py", "--python-path", str(library)]
    one = Service(gilkeeper, tmp_path, "import of_the_service\n" + WAIT, arguments=arguments)
    one.wait(1)
    (shown,) = one.process("service:tasks")
    assert shown["state"] == "ready" and one.server.ask("/").status == 200


def check(folder: Path, conf: str) -> subprocess.CompletedProcess[str]:
    (folder / "site.conf").write_text(conf)
    command = [harness.gilkeeper(), "check", "-c", str(folder / "site.conf")]
    return subprocess.run(command, capture_output=True, text=True, timeout=30)


def test_a_mount_on_it_is_refused(tmp_path: Path) -> None:
    service = "WSGIDaemonProcess s threads=0\nWSGIImportScript s.py process-group=s application-group=%{GLOBAL}\n"
    assert check(tmp_path, service + "WSGIScriptAlias / app.wsgi\n").returncode == 0
    for uses in ("WSGIScriptAlias / app.wsgi process-group=s", "WSGIProcessGroup s\nWSGIScriptAlias / app.wsgi"):
        told = check(tmp_path, service + uses + "\n")
        text = told.stdout + told.stderr
        assert told.returncode == 2 and text.count("error[GK0012]: `s` runs a service script (threads=0) and takes no requests") == 1, text
    told = check(tmp_path, "WSGIDaemonProcess s threads=0\n")
    assert told.returncode == 2 and "no script is named" in told.stdout + told.stderr
