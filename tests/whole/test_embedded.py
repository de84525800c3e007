"""Embedded mode: the processes that run the application speak HTTP themselves. What clients see is what they see in daemon mode, but for
the connections of a process that dies."""

from __future__ import annotations

import ast
import hashlib
import itertools
import os
import re
import signal
import ssl
import subprocess
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import client
from client import message
from harness import APPS, free_port, until
from http2_wire import Wire, request
from running import Gilkeeper

Start = Callable[..., Gilkeeper]
# Tells which process answers. `/fork` leaves a child that lives until its standard input ends; `/slow` waits until there is a file `go`.
APPLICATION = '''
import os, pathlib, subprocess, time
HERE = pathlib.Path(__file__).parent
RELEASE = "first"
def descriptors():
    """What is open, by its number."""
    names = [name for name in os.listdir("/proc/self/fd") if os.path.islink(f"/proc/self/fd/{name}")]
    return {int(name): os.readlink(f"/proc/self/fd/{name}") for name in names}
def in_child(function):
    """What it returns in a child that is forked."""
    ours, theirs = os.pipe()
    if os.fork() == 0:
        os.write(theirs, repr(function()).encode())
        os._exit(0)
    os.close(theirs)
    with os.fdopen(ours) as pipe:
        return pipe.read()
def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/fork" and os.fork() == 0:
        while not (HERE / "go").exists():
            time.sleep(0.01)
        os._exit(0)
    while path == "/slow" and not (HERE / "go").exists():
        time.sleep(0.01)
    if path == "/descriptors":
        body = f"{descriptors()}\\n{in_child(descriptors)}"
    elif path == "/body":
        body = str(len(environ["wsgi.input"].read()))
    elif path == "/large":
        body = "x" * 3_000_000
    elif path == "/scheme":
        body = environ["wsgi.url_scheme"] + " " + environ["SERVER_PROTOCOL"]
    else:
        body = f"{os.getpid()} {RELEASE}"
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body.encode()]
'''
OPTIONS = ["{app}/wsgi.py", "--embedded", "--threads", "3", "--graceful-timeout", "5", "--shutdown-timeout", "2", "--log-level", "info"]


def application(folder: Path) -> list[Path]:
    (folder / "wsgi.py").write_text(APPLICATION)
    return [folder / "wsgi.py"]


def pid_of(server: Gilkeeper) -> int:
    return int(server.ask("/").body.split()[0])


def test_a_request_is_answered_by_the_process_that_accepted_it(gilkeeper: Start, tmp_path: Path) -> None:
    (tmp_path / "style.css").write_text("a {}")
    admin = free_port()
    options = [*OPTIONS, "--processes", "2", "--access-log", "--static", "/static", str(tmp_path)]
    server = gilkeeper(application(tmp_path), arguments=options, admin=admin)
    workers = server.wait_workers(2)
    assert {pid_of(server) for _ in range(20)} <= set(workers)
    with server.connect() as connection:
        for _ in range(3):
            connection.send(message("GET", "/"))
            assert int(connection.response().body.split()[0]) in workers
        connection.send(message("POST", "/body", {"Expect": "100-continue"}, b"y" * 500_000))
        assert connection.response().body == b"500000"
        connection.send(message("GET", "/large"))
        assert connection.response().body == b"x" * 3_000_000
    assert server.ask("/", "HEAD").body == b""
    assert server.ask("/static/style.css").body == b"a {}"
    assert server.ask("/static/none.css").status == 404
    assert client.statuses(server.raw(b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n")) == [400]
    # The front tells of them as if it had served them.
    asked = 20 + 5 + 1 + 2
    until(lambda: server.status()["front"]["requests"] >= asked, "the requests are counted")
    assert client.ask(admin, "/readyz").status == 200

    def counted() -> float:
        pages = client.ask(admin, "/metrics").body.decode()
        return sum(float(value) for value in re.findall(r'^gilkeeper_responses_total\{.*code="200".*\} (\S+)$', pages, re.M))

    until(lambda: counted() >= asked - 2, "the metrics have them, too")
    until(lambda: server.console().count('"GET / HTTP/1.1" 200') == 23, "the access log has a line for each")
    # Children that the application forks have neither listeners nor connections, and low numbers are left to the application.
    with server.connect() as connection:
        connection.send(message("GET", "/descriptors"))
        parent, child = map(ast.literal_eval, connection.response().body.decode().splitlines())
    listening = f"socket:[{inode(server.port)}]"
    high = [target for number, target in parent.items() if number > max(child)]
    assert listening in high and listening not in child.values()
    assert len([target for target in high if target.startswith("socket:") and target not in child.values()]) >= 3
    assert max(child) < 100 < min(number for number in parent if number > max(child))


def test_clients_are_served_while_the_only_thread_runs_python(gilkeeper: Start, tmp_path: Path) -> None:
    """The thread that serves connections while it waits for requests is away with one: another thread steps in, and goes when it is back."""
    (tmp_path / "style.css").write_text("a {}")
    options = ["{app}/wsgi.py", "--embedded", "--processes", "1", "--threads", "1", "--static", "/static", str(tmp_path)]
    server = gilkeeper(application(tmp_path), arguments=options)
    (pid,) = server.wait_workers(1)
    for _ in range(3):
        with ExitStack() as stack:
            connections = [stack.enter_context(server.connect()) for _ in range(3)]
            for _ in range(50):
                # Quick ones: the request thread serves the connections.
                connections[0].send(message("GET", "/"))
                assert int(connections[0].response().body.split()[0]) == pid
            for connection, path in zip(connections, ("/slow", "/static/style.css", "/"), strict=True):
                connection.send(message("GET", path))
            assert connections[1].response().body == b"a {}"
            assert server.ask("/static/style.css", "HEAD").status == 200
            assert client.statuses(server.raw(b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n")) == [400]
            (server.root / "app/go").touch()
            assert [int(connections[at].response().body.split()[0]) for at in (0, 2)] == [pid, pid]
        (server.root / "app/go").unlink()


def inode(port: int) -> str:
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if int(fields[1].split(":")[1], 16) == port and fields[3] == "0A":
            return fields[9]
    raise AssertionError(f"nobody listens on {port}")


def test_a_reload_loses_no_request_of_a_kept_connection(gilkeeper: Start, tmp_path: Path) -> None:
    server = gilkeeper(application(tmp_path), arguments=[*OPTIONS, "--processes", "2"])
    before = set(server.wait_workers(2))
    ended, failures, answers = threading.Event(), [], set()

    def ask() -> None:
        """Asks on one connection as long as the server keeps it, as clients do."""
        while not ended.is_set():
            with server.connect() as connection:
                kept, paths = True, itertools.cycle(("/", "/large"))
                while kept and not ended.is_set():
                    try:
                        connection.send(message("GET", next(paths)))
                        response = connection.response()
                    except (client.Broken, OSError) as problem:
                        failures.append(repr(problem))
                        break
                    if response.status != 200:
                        failures.append(str(response.status))
                    answers.add(response.body[:40])
                    kept = response.get("Connection") != "close"

    clients = [threading.Thread(target=ask) for _ in range(3)]
    [one.start() for one in clients]
    try:
        for number in range(3):
            script = server.root / "app/wsgi.py"
            script.write_text(APPLICATION.replace("first", f"release{number}"))
            told = server.tell("reload")
            assert told.returncode == 0, told.stderr
            until(lambda: any(f"release{number}".encode() in body for body in answers), "the new code answers")
            # One that cannot be imported changes nothing.
            script.write_text("import nowhere\n")
            told = server.tell("reload")
            assert told.returncode != 0 and "nowhere" in told.stderr + told.stdout
            script.write_text(APPLICATION.replace("first", f"release{number}"))
    finally:
        ended.set()
        [one.join() for one in clients]
    assert failures == []
    until(lambda: len(server.pids()) == 4, "supervisor, front and two processes are left", 20)
    assert not before & set(server.workers())


def test_a_process_that_dies_takes_its_connections_and_no_others(gilkeeper: Start, tmp_path: Path) -> None:
    server = gilkeeper(application(tmp_path), arguments=[*OPTIONS, "--processes", "2"])
    server.wait_workers(2)
    with server.connect() as one, server.connect() as other:
        pids = []
        for connection in (one, other):
            connection.send(message("GET", "/"))
            pids.append(int(connection.response().body.split()[0]))
        front = server.front()
        os.kill(pids[0], signal.SIGKILL)
        assert one.closed_by_server()
        if pids[1] != pids[0]:
            other.send(message("GET", "/"))
            assert other.response().status == 200
        assert pid_of(server) != pids[0]
    until(lambda: pids[0] not in (found := server.workers()) and len(found) == 2, "it is replaced", 20)
    # The front has no clients: its death is nobody's, and the next one tells of the same processes.
    with server.connect() as connection:
        connection.send(message("GET", "/"))
        assert connection.response().status == 200
        os.kill(front, signal.SIGKILL)
        until(lambda: (server.status()["front"] or {}).get("pid") not in (None, front), "there is another front", 20)
        connection.send(message("GET", "/"))
        assert connection.response().status == 200
    server.wait_workers(2)


def test_a_process_whose_threads_are_in_use_leaves_connections_to_the_others(gilkeeper: Start, tmp_path: Path) -> None:
    """Reported of an application that hung in one process of two: half of the new clients waited for it, beside idle threads."""
    options = [*OPTIONS, "--processes", "5"]
    options[options.index("--threads") + 1] = "1"
    server = gilkeeper(application(tmp_path), arguments=options)
    server.wait_workers(5)
    go = server.root / "app/go"

    def all_run() -> bool:
        """Whether five slow requests, one after the other on connections of their own, get a process each."""
        go.unlink(missing_ok=True)
        slow: list[client.Connection] = []
        try:
            for number in range(1, 6):
                slow.append(server.connect())
                slow[-1].send(message("GET", "/slow"))
                until(lambda number=number: running() + waiting() == number, "the request has come", 20)
            return running() == 5
        finally:
            go.touch()
            assert [connection.response().status for connection in slow] == [200] * len(slow)
            [connection.close() for connection in slow]

    def running() -> int:
        return sum(worker["busy"] for worker in server.status()["workers"])

    def waiting() -> int:
        return sum(server.status()["front"]["queued"].values())

    # The idle processes may stand still for longer than they are waited for. By chance alone one round in 26 would do.
    assert any(all_run() for _ in range(4))


def test_a_stop_lets_requests_end(gilkeeper: Start, tmp_path: Path) -> None:
    server = gilkeeper(application(tmp_path), arguments=OPTIONS)
    assert server.process is not None
    with server.connect() as slow, server.connect() as idle:
        idle.send(message("GET", "/"))
        assert idle.response().status == 200
        slow.send(message("GET", "/slow"))
        until(lambda: server.status()["workers"][0]["busy"] == 1, "the request runs")
        server.process.send_signal(signal.SIGTERM)
        assert idle.closed_by_server()
        # This request has its time.
        (server.root / "app/go").touch()
        assert slow.response().status == 200
    assert server.process.wait(20) == 0
    until(lambda: not server.pids(), "every process has ended")


def test_a_forked_child_holds_no_connection(gilkeeper: Start, tmp_path: Path) -> None:
    server = gilkeeper(application(tmp_path), arguments=OPTIONS)
    with server.connect() as connection:
        connection.send(message("GET", "/fork", {"Connection": "close"}))
        assert connection.response().status == 200
        assert connection.closed_by_server(), "although the child lives"
    (server.root / "app/go").touch()


def test_processes_are_replaced_after_their_requests(gilkeeper: Start, tmp_path: Path) -> None:
    server = gilkeeper(application(tmp_path), arguments=[*OPTIONS, "--processes", "2", "--maximum-requests", "20"])
    seen: list[int] = []

    def others() -> bool:
        response = server.ask("/")
        assert response.status == 200
        seen.append(int(response.body.split()[0]))
        return len(set(seen)) >= 4

    # How many come before a process has closed its listeners is a matter of time.
    until(others, "both were replaced", 20)
    assert min(seen.count(pid) for pid in set(seen) if pid not in server.workers()) >= 20


def test_tls_and_http2(gilkeeper: Start, tmp_path: Path) -> None:
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    files = ["-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "cert.pem"), "-days", "2", "-nodes"]
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", *files, *subject]
    subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL)
    conf = f"""
GilkeeperEmbedded On
StartServers 2
ThreadsPerChild 4
WSGIScriptAlias /named ${{APP}}/wsgi.py application-group=named
WSGIScriptAlias / ${{APP}}/wsgi.py application-group=%{{GLOBAL}}
SSLEngine On
SSLCertificateFile {tmp_path}/cert.pem
SSLCertificateKeyFile {tmp_path}/key.pem
Protocols h2 http/1.1
"""
    server = gilkeeper(application(tmp_path), conf)
    server.wait_workers(2)
    context = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
    context.set_alpn_protocols(["h2"])
    with Wire(("127.0.0.1", server.port), context=context) as wire:
        for stream, path in ((1, "/scheme"), (3, "/named/scheme")):
            assert wire.exchange(stream, request(path))[1] == b"https HTTP/2.0"
    plain = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
    assert client.ask(server.port, "/scheme", context=plain).body == b"https HTTP/1.1"
    # New certificates reach every process, each in its time.
    subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL)
    until(lambda: "certificates replaced" in server.log(), "the new certificate is taken", 20)
    renewed = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))

    def all_have_it() -> bool:
        try:
            return all(client.ask(server.port, "/scheme", context=renewed).body == b"https HTTP/1.1" for _ in range(8))
        except ssl.SSLError:
            return False

    until(all_have_it, "every process has the new certificate", 20)


LENT = """
import hashlib
class Own(bytes):
    pass
def application(environ, start_response):
    form, _, size = environ["PATH_INFO"][1:].partition("/")
    whole = hashlib.shake_128(environ["PATH_INFO"].encode()).digest(int(size))
    headers = [("Content-Length", str(len(whole) - 5))] if form == "short" else []
    start_response("200 OK", headers)
    if form == "pieces":
        return [whole[:100_000], whole[100_000:]]
    if form == "stream":
        return (whole[at:at + 300_000] for at in range(0, len(whole), 300_000))
    return [Own(whole) if form == "own" else whole]
"""


def link_memory(pid: int) -> int:
    """Bytes of the memory of links that were written, in the map of one process."""
    pages = re.findall(r"gilkeeper-link.*?^Rss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps").read_text(), re.M | re.S)
    assert pages
    return max(map(int, pages)) * 1024


def test_large_pieces_are_sent_from_python_s_memory(gilkeeper: Start, tmp_path: Path) -> None:
    """Each was copied into the memory of the link first. A client that does not read yet gets it whole all the same."""
    (tmp_path / "wsgi.py").write_text(LENT)
    server = gilkeeper([tmp_path / "wsgi.py"], arguments=["{app}/wsgi.py", "--embedded", "--threads", "2"])

    def expected(target: str) -> bytes:
        form, _, size = target[1:].partition("/")
        whole = hashlib.shake_128(target.encode()).digest(int(size))
        return whole[:-5] if form == "short" else whole

    sizes = (65_535, 65_536, 1_000_000, 2_000_000)
    targets = [f"/{form}/{size}" for form in ("one", "short", "own", "pieces", "stream") for size in sizes]
    with ExitStack() as open_ones:
        slow = [(open_ones.enter_context(server.connect()), target) for target in targets]
        for connection, target in slow:
            connection.send(message("GET", target))
        for target in targets:
            assert server.ask(target).body == expected(target), target
        for connection, target in slow:
            assert connection.response().body == expected(target), target
    assert link_memory(server.pids()[-1]) < 1 << 20
    # Longer ones are copied: whoever waits for the last bytes would hold all of them.
    assert server.ask("/one/5000000").body == expected("/one/5000000")
    assert link_memory(server.pids()[-1]) >= 1 << 20


# `/closerange` closes every descriptor that it did not open, as programs do that become daemons.
CLOSING = """
import os
def application(environ, start_response):
    if environ["PATH_INFO"] == "/closerange":
        os.closerange(3, 1000)
    body = b"%d" % os.getpid()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
"""


def test_a_process_whose_application_closes_its_control_socket_is_replaced(gilkeeper: Start, tmp_path: Path) -> None:
    """Met: the log said that the supervisor was gone, which was not so."""
    (tmp_path / "wsgi.py").write_text(CLOSING)
    server = gilkeeper([tmp_path / "wsgi.py"], arguments=[*OPTIONS, "--processes", "1"])
    server.wait_workers(1)
    before = pid_of(server)
    with server.connect() as connection:
        connection.send(message("GET", "/closerange"))
        try:
            assert connection.response().status == 200
        except (client.Broken, OSError):
            pass  # It may be gone before.
    until(lambda: before not in (found := server.workers()) and len(found) == 1, "it is replaced", 30)
    assert pid_of(server) != before
    assert "the supervisor is gone" not in server.console()
    assert "was closed, as by os.closerange in the application" in server.console()


ENDS_LATE = """
import os
class Forks(bytes):
    def __del__(self):
        child = os.fork()
        if child:
            os.waitpid(child, 0)
def application(environ, start_response):
    start_response("200 OK", [])
    return [Forks(100_000) if environ["PATH_INFO"] == "/large" else b"small"]
"""


def test_a_child_that_the_end_of_a_lent_object_forks_is_ended(gilkeeper: Start, tmp_path: Path) -> None:
    """It left the server's code by itself: its output was lost, and nothing told of it."""
    (tmp_path / "wsgi.py").write_text(ENDS_LATE)
    server = gilkeeper([tmp_path / "wsgi.py"], arguments=["{app}/wsgi.py", "--embedded", "--threads", "1"])
    assert server.ask("/large").body == bytes(100_000)

    def told() -> bool:
        assert server.ask("/small").body == b"small"
        return "its child returned from the WSGI call" in server.console()

    until(told, "a request releases the object", 20)
