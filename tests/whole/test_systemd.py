"""systemd: sockets by name, notices, `Type=notify-reload`, and the unit that is printed. systemd does not run here: a script plays its
part, and `systemd-analyze` judges the units."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import client
import harness
import pytest
from harness import APPS
from managing import Manager, listening, open_folder

CONF = """
WSGIDaemonProcess main threads=2 shutdown-timeout=2 graceful-timeout=5
WSGIScriptAlias / APP/hello.py process-group=main application-group=%{GLOBAL}
GilkeeperAdmin 127.0.0.1:1
Listen systemd:web
Listen unix:ROOT/own.sock
"""
VARIABLES = (b"NOTIFY_SOCKET=", b"WATCHDOG_USEC=", b"LISTEN_FDS=", b"LISTEN_PID=", b"LISTEN_FDNAMES=")


@pytest.fixture
def managers() -> Iterator[list[Manager]]:
    started: list[Manager] = []
    yield started
    for one in started:
        one.kill()
        shutil.rmtree(one.root, ignore_errors=True)


def begin(managers: list[Manager], conf: str, sockets: dict[str, socket.socket], abstract: bool = False, **environment: str) -> Manager:
    manager = Manager(abstract)
    managers.append(manager)
    shutil.copy(APPS / "hello.py", manager.root)
    (manager.root / "site.conf").write_text(conf.replace("APP", str(manager.root)).replace("ROOT", str(manager.root)))
    command = [harness.gilkeeper(), "serve", "-c", str(manager.root / "site.conf"), "--server-root", str(manager.root / "server-root")]
    manager.start(command, sockets, **environment)
    return manager


@pytest.mark.parametrize("abstract", [False, True])
def test_a_service_of_type_notify_reload(managers: list[Manager], abstract: bool) -> None:
    web, admin = listening(("127.0.0.1", 0)), listening(("127.0.0.1", 0))
    port = web.getsockname()[1]
    manager = begin(managers, CONF, {"web": web, "admin": admin}, abstract, WATCHDOG_USEC="1000000")
    ready = manager.wait("READY")
    assert ready["STATUS"].startswith(f"Serving http://127.0.0.1:{port}/ and unix:"), ready
    assert client.ask(port, "/").status == 200
    # Reported: for a moment after READY they said 503. Met with a load balancer that asks once.
    assert client.ask(admin.getsockname()[1], "/readyz").status == 200, "the pages say ready, too"
    manager.wait("WATCHDOG", 5)
    # Nobody but the main process may be heard, so nobody else is asked to speak.
    for pid in harness.processes_of(manager.run):
        environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        assert pid == manager.main or not [one for one in environment if one.startswith(VARIABLES)], harness.command_of(pid)

    assert "reload done" in manager.reload()["STATUS"]
    (manager.root / "site.conf").write_text("Nonsense On\n")
    status = manager.reload()["STATUS"]
    assert "reload refused" in status and status.startswith("Serving http://"), status
    assert client.ask(port, "/").status == 200

    assert manager.stop() == 0
    assert not manager.ignored, manager.ignored
    # systemd keeps its sockets: a client waits for the next start.
    socket.create_connection(("127.0.0.1", port), 5).close()
    web.close()
    admin.close()


def test_a_socket_without_a_listen_is_one_sentence(managers: list[Manager]) -> None:
    with listening(("127.0.0.1", 0)) as web:
        manager = begin(managers, CONF.replace("systemd:web", "127.0.0.1:2"), {"web": web})
        assert manager.process is not None and manager.process.wait(20) == 2
        assert re.fullmatch(r"gilkeeper: the socket \S+ was given by the name web, but no Listen is for it; add .*\n", manager.console())


@pytest.fixture
def folder() -> Iterator[Path]:
    made = open_folder()
    yield made
    shutil.rmtree(made, ignore_errors=True)


UNITS = [
    # Configuration, options before `serve`, most exposure: 0.2 more than elsewhere, as the folder is below /tmp.
    ("Listen 8080\n", ["--user", "www-data"], 1.9),
    ("Listen 80\nUser www-data\nErrorLog /var/log/site/error.log\n", [], 2.1),
    ("Listen 80\nListen unix:/run/site/web.sock mode=660 group=www-data\n", ["--socket", "--user", "www-data:www-data"], 1.9),
    ("Listen 8080\n", [], 1.9),
    ("Listen 80\nUser www-data\nWSGIDaemonProcess other user=daemon\n", ["--credential", "a.key:/etc/hostname"], 4.5),
]


@pytest.mark.parametrize(("conf", "options", "exposure"), UNITS)
def test_units_are_what_systemd_takes(folder: Path, conf: str, options: list[str], exposure: float) -> None:
    (folder / "site.conf").write_text(conf + "WSGIDaemonProcess main\nWSGIScriptAlias / /srv/site/wsgi.py\n")
    command = [harness.gilkeeper(), "systemd-unit", "--name", "site", "--output", str(folder), *options]
    serve = ["serve", "-c", "site.conf", "--set", "SetEnv GREETING '50% $off'"]
    made = subprocess.run([*command, *serve], cwd=folder, capture_output=True, text=True, timeout=30)
    assert made.returncode == 0, made.stderr
    units = [str(path) for path in (folder / "site.service", folder / "site.socket") if path.exists()]
    assert len(units) == 1 + ("--socket" in options)
    verified = subprocess.run(["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True, timeout=60)
    assert (verified.returncode, verified.stderr) == (0, ""), (folder / "site.service").read_text()
    judged = subprocess.run(["systemd-analyze", "security", "--offline=true", units[0]], capture_output=True, text=True, timeout=60)
    score = re.search(r"exposure level for site.service: ([\d.]+)", judged.stdout)
    assert score and float(score[1]) <= exposure, judged.stdout


def test_the_command_line_of_a_unit_is_checked(folder: Path) -> None:
    for words, told in [(["status"], "from `serve` on, not `status`"), (["serve"], "name what to serve"), (["serve", "--bad"], "--bad")]:
        made = subprocess.run([harness.gilkeeper(), "systemd-unit", *words], cwd=folder, capture_output=True, text=True, timeout=30)
        assert made.returncode == 2 and told in made.stderr and not made.stdout, made
    environment = {**os.environ, "GILKEEPER_ROOT": "/elsewhere"}
    (folder / "package.wsgi").touch()
    made = subprocess.run(
        [harness.gilkeeper(), "systemd-unit", "serve", "package.wsgi"], cwd=folder, capture_output=True, text=True, timeout=30, env=environment
    )
    assert made.returncode == 0 and "GILKEEPER_ROOT=%S/gilkeeper\n" in made.stdout, made


def test_variables_that_the_service_will_not_have_are_told(folder: Path) -> None:
    """Reported: the unit of a configuration with `${PWD}` could not start, and nothing said so."""
    (folder / "wsgi.py").touch()
    (folder / "site.conf").write_text("Listen 8080\nWSGIScriptAlias / ${FOLDER}/wsgi.py\nPassEnv COLOUR\n")
    environment = {**os.environ, "FOLDER": str(folder), "COLOUR": "blue"}
    command = [harness.gilkeeper(), "systemd-unit", "serve"]

    def told(*words: str) -> str:
        made = subprocess.run(
            [*command, *words, "-c", "site.conf"], cwd=folder, capture_output=True, text=True, timeout=30, env=environment
        )
        assert made.returncode == 0 and "ExecStart=" in made.stdout, made
        return made.stderr

    said = told()
    assert "the variable ${FOLDER} is not defined" in said and "COLOUR is not set" in said and "-D NAME=VALUE" in said, said
    said = told("-D", f"FOLDER={folder}")
    assert "FOLDER" not in said and "COLOUR is not set" in said, said
    (folder / "site.conf").write_text("Listen 8080\nWSGIScriptAlias / ${FOLDER}/wsgi.py\n")
    assert told("-D", f"FOLDER={folder}") == ""
