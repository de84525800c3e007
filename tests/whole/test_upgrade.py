"""`gilkeeper upgrade`: a new server takes over from a running one, under load, and whatever fails leaves the old one. No request is lost."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import client
import harness
import pytest
from harness import until
from managing import Manager, listening, open_folder
from running import Gilkeeper

Start = Callable[..., Gilkeeper]

# Answers with the process id of its supervisor; its import waits for as long as there is a file `hold`.
APPLICATION = """
import os, pathlib, time
HERE = pathlib.Path(__file__).parent
while (HERE / "hold").exists():
    time.sleep(0.01)
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"%d" % os.getppid()]
"""
OPTIONS = ["{app}/wsgi.py", "--processes", "2", "--threads", "4", "--graceful-timeout", "5", "--shutdown-timeout", "2", "--log-level", "info"]


class Load:
    """Clients that ask without pause: two with a connection for each request, two with kept ones. `failures` must stay empty."""

    def __init__(self, port: int) -> None:
        self.port, self.ended, self.count, self.failures = port, threading.Event(), 0, []
        self.served_by: set[bytes] = set()
        self.threads = [threading.Thread(target=run) for run in (self.single, self.single, self.kept, self.kept)]

    def __enter__(self) -> Load:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        for thread in self.threads:
            thread.join()

    def note(self, status: int, body: bytes) -> None:
        self.count += 1
        self.served_by.add(body)
        if status != 200:
            self.failures.append(f"{status}")

    def single(self) -> None:
        while not self.ended.is_set():
            try:
                answer = client.ask(self.port, "/")
                self.note(answer.status, answer.body)
            except (OSError, client.Broken) as why:
                self.failures.append(repr(why))

    def kept(self) -> None:
        request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
        while not self.ended.is_set():
            try:
                with socket.create_connection(("127.0.0.1", self.port), 20) as connection:
                    file = connection.makefile("rb")
                    closes = False
                    while not closes and not self.ended.is_set():
                        connection.sendall(request)
                        status = int(file.readline().split()[1])
                        fields = {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in iter(file.readline, b"\r\n"))}
                        self.note(status, file.read(int(fields[b"content-length"])))
                        closes = fields.get(b"connection") == b"close"
            except (OSError, IndexError, KeyError) as why:
                self.failures.append(f"kept: {why!r}")

    def more(self, number: int = 200) -> None:
        """Waits for so many further requests."""
        wanted = self.count + number
        until(lambda: self.count >= wanted, f"{number} more requests", 30)


def site(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "wsgi.py").write_text(APPLICATION)
    return folder


@pytest.fixture
def app() -> Iterator[Path]:
    made = open_folder()
    yield site(made / "site")
    shutil.rmtree(made, ignore_errors=True)


def heirs(server: Gilkeeper) -> list[int]:
    """Supervisors that were started to replace another one."""
    found = []
    for pid in server.pids():
        try:
            if b"\0GILKEEPER_REPLACES=" in b"\0" + Path(f"/proc/{pid}/environ").read_bytes():
                found.append(pid)
        except OSError:
            continue
    return found


def in_background(server: Gilkeeper, *command: str) -> subprocess.Popen[str]:
    whole = [*(command or (harness.gilkeeper(),)), "upgrade", "--server-root", str(server.server_root)]
    return subprocess.Popen(whole, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL)


def upgraded(server: Gilkeeper) -> str | None:
    """What the command says. None: an embedded process answers before the server as a whole serves."""
    upgrade = in_background(server)
    out, err = upgrade.communicate(timeout=60)
    if "does not serve yet" in err:
        return None
    assert upgrade.returncode == 0, err
    return out


@pytest.mark.parametrize("more", [[], ["--embedded"], ["--fronts", "2"]], ids=["daemon", "embedded", "fronts"])
def test_servers_replace_each_other_under_load(gilkeeper: Start, app: Path, more: list[str]) -> None:
    server = gilkeeper([app], arguments=[*OPTIONS, *more])
    assert server.process is not None
    pid_file = server.server_root / "gilkeeper.pid"
    with Load(server.port) as load:
        for _ in range(3):
            load.more()
            before = server.status()["pid"]
            assert "upgrade done" in until(lambda: upgraded(server), "a server that serves is upgraded", 60)
            new = server.status()["pid"]
            assert new != before and pid_file.read_text() == f"{new}\n"
            until(lambda: b"%d" % new in load.served_by, "the new server answers", 20)
        # The first process stays for whoever has started it; those between are gone.
        until(lambda: len([pid for pid in server.pids() if " serve " in harness.command_of(pid)]) == 2, "two supervisors are left", 20)
        assert server.process.poll() is None
        load.more()
    assert load.failures == [], load.failures[:5]
    server.process.send_signal(signal.SIGHUP)
    until(lambda: "reload done" in server.console(), "the new server reloads", 20)
    # The fixture stops the first process with SIGTERM, and looks that nothing is left.


ARRANGED = """
{arrangement}
WSGIDaemonProcess site processes=1 threads=4 graceful-timeout=5 shutdown-timeout=2
WSGIScriptAlias / ${{APP}}/wsgi.py process-group=site application-group=%{{GLOBAL}}
"""


@pytest.mark.parametrize(
    ("before", "after"),
    [("", "GilkeeperFronts 2"), ("GilkeeperFronts 2", "GilkeeperEmbedded On"), ("GilkeeperEmbedded On", "")],
    ids=["to-fronts", "to-embedded", "to-daemon"],
)
def test_a_server_may_accept_connections_in_other_processes(gilkeeper: Start, app: Path, before: str, after: str) -> None:
    """What a reload refuses."""
    server = gilkeeper([app], ARRANGED.format(arrangement=before))
    with Load(server.port) as load:
        load.more()
        (server.root / "site.conf").write_text(ARRANGED.format(arrangement=after))
        old = server.status()["pid"]
        assert "upgrade done" in until(lambda: upgraded(server), "a server that serves is upgraded", 60)
        new = server.status()["pid"]
        assert new != old
        until(lambda: b"%d" % new in load.served_by, "the new server answers", 20)
        load.more()
    assert load.failures == [], load.failures[:5]
    groups = {one["process_group"] for one in server.status()["workers"]}
    assert groups == ({"site", "fronts"} if "Fronts" in after else {"site"})


# One thread, and more requests than its graceful-timeout and shutdown-timeout together have room for.
QUEUED = """
{arrangement}
WSGIDaemonProcess site processes=1 threads=1 graceful-timeout=2 shutdown-timeout=1
WSGIScriptAlias / ${{APP}}/wsgi.py process-group=site application-group=%{{GLOBAL}}
"""
SLOW = APPLICATION.replace("    start_response", "    time.sleep(0.5)\n    start_response")


@pytest.mark.parametrize(
    ("arrangement", "command"),
    [("", "upgrade"), *((line, command) for line in ("GilkeeperEmbedded On", "GilkeeperFronts 2") for command in ("reload", "upgrade"))],
    ids=["daemon-upgrade", "embedded-reload", "embedded-upgrade", "fronts-reload", "fronts-upgrade"],
)
def test_requests_that_wait_for_a_thread_have_their_graceful_timeout_when_they_get_one(
    gilkeeper: Start, app: Path, arrangement: str, command: str
) -> None:
    """Reported: nineteen of twenty-four that waited were closed without an answer, although a new server or process stood beside."""
    (app / "wsgi.py").write_text(SLOW)
    server = gilkeeper([app], QUEUED.format(arrangement=arrangement))
    until(lambda: "Serving http" in server.console(), "the server as a whole serves", 60)
    old, number = server.status()["workers"][0]["pid"], 10
    told: list[int] = []
    clients = [threading.Thread(target=lambda: told.append(client.ask(server.port, "/", timeout=60).status)) for _ in range(number)]
    for one in clients:
        one.start()
    until(lambda: sum(server.status()["front"]["queued"].values()) >= number - 4, "they wait", 20)
    done = server.tell(command)
    assert done.returncode == 0, done.stderr
    for one in clients:
        one.join()
    assert told == [200] * number
    until(lambda: old not in server.pids(), "the old process has ended", 20)


DIGEST = """
WSGIDaemonProcess site threads=2
WSGIScriptAlias / ${APP}/wsgi.py process-group=site application-group=%{GLOBAL}
<Location />
    AuthType Digest
    AuthName place
    AuthUserFile ${APP}/digests
    Require valid-user
</Location>
"""


@pytest.mark.parametrize("more", [[], ["--embedded"], ["--fronts", "2"]], ids=["daemon", "embedded", "fronts"])
def test_a_server_that_drains_is_replaced_by_one_that_drains(gilkeeper: Start, app: Path, more: list[str]) -> None:
    """Reported: load balancers sent requests again."""
    server = gilkeeper([app], arguments=[*OPTIONS, *more], admin=harness.free_port())
    until(lambda: "Serving http" in server.console(), "the server as a whole serves", 60)
    assert server.tell("drain", "--wait", "0").returncode == 0
    old = server.status()["pid"]
    assert server.tell("upgrade").returncode == 0
    assert server.status()["pid"] != old and server.status()["draining"]
    ready = client.ask(server.admin or 0, "/readyz")
    assert ready.status == 503 and "drain" in ready.body.decode(), ready.body
    assert server.tell("drain", "--undo").returncode == 0
    until(lambda: client.ask(server.admin or 0, "/readyz").status == 200, "the new server is ready", 20)


def md5(*parts: str) -> str:
    return hashlib.md5(":".join(parts).encode()).hexdigest()


def test_a_login_by_digest_goes_on_with_the_new_server(gilkeeper: Start, app: Path) -> None:
    """Met: every client had to log in again, as the new server knew no nonce of the old one."""
    (app / "digests").write_text(f"bob:place:{md5('bob', 'place', 'secret')}\n")
    server = gilkeeper([app], DIGEST)
    server.wait_workers(1)
    challenge = server.ask("/").get("WWW-Authenticate") or ""
    nonce = re.findall('nonce="([^"]+)"', challenge)[0]
    proof = md5(md5("bob", "place", "secret"), nonce, md5("GET", "/"))
    header = f'Digest username="bob", realm="place", nonce="{nonce}", uri="/", response="{proof}"'
    answers = []
    for _ in range(3):
        response = server.ask("/", headers={"Authorization": header})
        assert response.status == 200, response.head
        answers.append(response.body)
        assert "upgrade done" in until(lambda: upgraded(server), "a server that serves is upgraded", 60)
    assert len(set(answers)) == 3


def test_a_package_elsewhere_takes_over(gilkeeper: Start, app: Path) -> None:
    server = gilkeeper([app], arguments=OPTIONS)
    old = Path(harness.gilkeeper()).parent / "python"
    elsewhere = app.parent / "venv"
    subprocess.run([str(old), "-m", "venv", "--without-pip", str(elsewhere)], check=True, timeout=60)
    place = subprocess.run([str(old), "-c", "import gilkeeper; print(gilkeeper.__path__[0])"], capture_output=True, text=True, check=True)
    [packages] = elsewhere.glob("lib/python*/site-packages")
    package = packages / "gilkeeper"
    package.mkdir()
    for file in Path(place.stdout.strip()).iterdir():
        if file.is_file():
            (package / file.name).symlink_to(file) if file.suffix == ".so" else shutil.copy(file, package)
    with Load(server.port) as load:
        load.more()
        out, err = in_background(server, str(elsewhere / "bin/python"), "-P", "-m", "gilkeeper").communicate(timeout=60)
        assert "upgrade done" in out, err
        load.more()
    assert load.failures == [], load.failures[:5]
    running = [harness.command_of(pid) for pid in server.pids()]
    assert any(str(package / "front.py") in command for command in running), running


def cannot_import(server: Gilkeeper) -> None:
    (server.root / "app/wsgi.py").write_text("def (:\n")


def end_supervisor(server: Gilkeeper) -> None:
    [pid] = until(lambda: heirs(server), "the new server starts")
    os.kill(pid, signal.SIGKILL)


def end_worker(server: Gilkeeper) -> None:
    """Each of them, until the new server gives up."""
    [pid] = until(lambda: heirs(server), "the new server starts")
    before = set()
    while heirs(server) == [pid]:
        children = Path(f"/proc/{pid}/task/{pid}/children")
        try:
            for child in set(children.read_text().split()) - before:
                before.add(child)
                os.kill(int(child), signal.SIGKILL)
        except OSError:
            continue


def end_when_asked(server: Gilkeeper) -> None:
    [pid] = until(lambda: heirs(server), "the new server starts")
    os.kill(pid, signal.SIGTERM)


FAILURES: list[tuple[Callable[[Gilkeeper], None], bool, str]] = [
    # What goes wrong, whether the import is held meanwhile, and what the command says.
    (cannot_import, False, "SyntaxError"),
    (end_supervisor, True, "the new server ended: signal 9 (KILL)"),
    (end_worker, True, "cannot serve"),
    (end_when_asked, True, "the new server"),
]


def test_whatever_fails_leaves_the_old_server(gilkeeper: Start, app: Path) -> None:
    server = gilkeeper([app], arguments=OPTIONS)
    server.wait_workers(2)
    hold = server.root / "app/hold"
    pid = server.status()["pid"]
    with Load(server.port) as load:
        for go_wrong, held, told in FAILURES:
            load.more(50)
            if held:
                hold.touch()
            else:
                go_wrong(server)
            upgrade = in_background(server)
            if held:
                go_wrong(server)
            out, err = upgrade.communicate(timeout=90)
            assert upgrade.returncode == 1 and "the old server stays" in err and told in err, (go_wrong, out, err)
            hold.unlink(missing_ok=True)
            (server.root / "app/wsgi.py").write_text(APPLICATION)
            until(lambda: not heirs(server), "nothing of the new server is left")
            assert server.status()["pid"] == pid
        load.more()
        # The log is that of a server that serves: what it says of the others is no alarm.
        log = server.console()
        assert "the new server of the upgrade gives up: process group" in log
        assert not re.search(r":(alert|emerg)\]|GK0052|giving up|the server ends", log), log
        # And then it succeeds.
        out, err = in_background(server).communicate(timeout=60)
        assert "upgrade done" in out, err
        load.more()
    assert load.failures == [], load.failures[:5]


def test_the_old_server_may_end_in_the_middle(gilkeeper: Start, app: Path) -> None:
    """A stop during the upgrade ends both."""
    server = gilkeeper([app], arguments=OPTIONS)
    server.wait_workers(2)
    (server.root / "app/hold").touch()
    upgrade = in_background(server)
    until(lambda: heirs(server), "the new server starts")
    assert server.process is not None
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(20) == 0
    upgrade.communicate(timeout=20)
    assert upgrade.returncode == 1
    until(lambda: not server.pids(), "every process has ended", 20)


def test_systemd_follows_the_new_main_process(app: Path) -> None:
    manager = Manager()
    web = listening(("127.0.0.1", 0))
    try:
        port = web.getsockname()[1]
        root = manager.root / "server-root"
        command = [harness.gilkeeper(), "serve", str(app / "wsgi.py"), "--server-root", str(root), "--admin", "off", "--graceful-timeout", "3"]
        manager.start(command, {"web": web}, WATCHDOG_USEC="2000000")
        manager.wait("READY")
        first = manager.main
        with Load(port) as load:
            load.more()
            told = subprocess.run([harness.gilkeeper(), "upgrade", "--server-root", str(root)], capture_output=True, text=True, timeout=60)
            assert told.returncode == 0, told.stderr
            assert int(manager.wait("MAINPID")["MAINPID"]) != first
            assert manager.wait("READY")["STATUS"].startswith(f"Serving http://127.0.0.1:{port}/")
            # It has nobody to stay for.
            assert manager.process is not None and manager.process.wait(30) == 0
            load.more()
        assert load.failures == [], load.failures[:5]
        manager.wait("WATCHDOG", 5)
        assert "reload done" in manager.reload()["STATUS"]
        manager.stop()
        assert not manager.ignored, manager.ignored
        socket.create_connection(("127.0.0.1", port), 5).close()
    finally:
        web.close()
        manager.kill()
        shutil.rmtree(manager.root, ignore_errors=True)


def namespaces() -> bool:
    return subprocess.run(["unshare", "-pf", "true"], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not namespaces(), reason="this user may not make a process 1")
def test_process_1_stays(app: Path) -> None:
    """As in a container, where the end of process 1 is the end of all."""
    port, root = harness.free_port(), app.parent / "server-root"
    command = [harness.gilkeeper(), "serve", str(app / "wsgi.py"), "--host", "127.0.0.1", "--port", str(port), "--server-root", str(root)]
    outer = subprocess.Popen(
        ["unshare", "-pf", "--kill-child", *command, "--admin", "off"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        until(lambda: answers(port), "the server answers", 30)
        told = subprocess.run([harness.gilkeeper(), "upgrade", "--server-root", str(root)], capture_output=True, text=True, timeout=60)
        assert told.returncode == 0, told.stderr
        until(lambda: client.ask(port, "/").body != b"1", "the new server answers", 30)
        [inner] = Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text().split()
        os.kill(int(inner), signal.SIGTERM)
        assert outer.wait(30) == 0
    finally:
        outer.kill()
        outer.wait()


def answers(port: int) -> Any:
    try:
        return client.ask(port, "/").status == 200
    except (OSError, client.Broken):
        return False
