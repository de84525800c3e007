"""The first hour: the guide's pages for Django and Flask from an empty folder, and a server without a home."""

from __future__ import annotations

import os
import pty
import re
import runpy
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import harness
import pytest
from pages import FACTORY, GUIDE, Transcript, environment, newcomer, without_a_home
from running import Gilkeeper

import client


@pytest.mark.parametrize("page", ["../../README.md", "django.md", "flask.md", "development.md", "from-gunicorn.md"])
def test_a_page_is_a_transcript(page: str, folder: Path) -> None:
    newcomer(GUIDE / page, folder)


def test_two_projects_do_not_collide(folder: Path) -> None:
    servers = []
    for name in ("one", "two"):
        project = folder / name / "site"
        project.mkdir(parents=True)
        (project / "app.py").write_text(FACTORY)
        transcript = Transcript(project, environment(folder))
        transcript.line(f"gilkeeper serve app --factory --port {transcript.port}")
        servers.append(transcript)
    for transcript in servers:
        transcript.line("gilkeeper status")
        assert str(transcript.server.pid if transcript.server else None) in transcript.said[-1]
        transcript.line("gilkeeper stop")
        transcript.end()


def test_a_lone_app_is_served_and_a_line_says_so(folder: Path) -> None:
    (folder / "app.py").write_text("from web import app\n")
    (folder / "web.py").write_text("def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'alone']\n")
    transcript = Transcript(folder, environment(folder))
    transcript.line(f"gilkeeper serve app --port {transcript.port}")
    transcript.line(f"curl --fail --silent http://127.0.0.1:{transcript.port}/")
    transcript.end()
    assert "alone" in transcript.said[-1]
    assert "has no callable named 'application', so its 'app' is served" in (folder / "server.log").read_text()


def test_a_terminal_is_told_more_than_a_log(folder: Path) -> None:
    """Who types `serve` sees processes, their Python and how it ends; and a traceback without brackets on each of its lines."""
    (folder / "app.py").write_text("def app(environ, start_response):\n    raise ValueError('as asked')\n")
    ours, its = pty.openpty()
    port = harness.free_port()
    command = [harness.gilkeeper(), "serve", "app:app", "--host", "127.0.0.1", "--port", str(port), "--admin", "off"]
    server = subprocess.Popen(command, cwd=folder, env=environment(folder), stdout=its, stderr=its, start_new_session=True)
    os.close(its)
    shown = b""

    def until(last: bytes) -> list[str]:
        nonlocal shown
        while last not in shown:
            shown += os.read(ours, 65536)
        return shown.decode().replace("\r\n", "\n").splitlines()

    try:
        lines = until(b"twice at once")
        # Root is warned before.
        lines = lines[next(number for number, line in enumerate(lines) if line.startswith("Serving")) :]
        assert lines[0].startswith(f"Serving http://127.0.0.1:{port}/ with 1 process x 5 threads"), lines
        assert re.fullmatch(rf"  gilkeeper \S+, process {server.pid}", lines[1]), lines
        assert re.fullmatch(r"  process group default: CPython 3\.\d+t? with.* GIL, process \d+", lines[2]), lines
        assert client.ask(port, "/").status == 500
        lines = until(b"ValueError: as asked\r\n")
        begin = next(number for number, line in enumerate(lines) if "exception raised" in line)
        assert lines[begin].startswith("[") and lines[begin + 1].startswith("Traceback"), lines[begin:]
        assert not any(line.startswith("[") for line in lines[begin + 1 :]), lines[begin:]
    finally:
        server.send_signal(signal.SIGINT)
        server.send_signal(signal.SIGINT)
        assert server.wait(timeout=30) == 0
        os.close(ours)


def test_a_factory_that_fails_ends_the_start_with_its_traceback(folder: Path) -> None:
    (folder / "app.py").write_text(FACTORY)
    # Reported: a server with it served, and answered each request 500.
    (folder / "number.py").write_text("application = 5\n")
    # Reported: the name of a Django project alone led nowhere.
    (folder / "mysite").mkdir()
    for name in ("__init__", "wsgi"):
        (folder / f"mysite/{name}.py").touch()
    (folder / "asgi.py").write_text("async def application(scope, receive, send): ...\n")
    for script, told, code in [
        ("number", "'number' has no callable named 'application'", 3),
        ("mysite", "'mysite' has no callable named 'application'; did you mean its module mysite.wsgi?", 3),
        ("asgi", "'application' of 'asgi' is an ASGI application, and only WSGI is served here", 3),
        ("app:create_app(1, 2)", "TypeError: create_app() takes from 0 to 1 positional arguments but 2 were given", 3),
        ("app:create_app(no)", "must be literals such as 'x', 1 or True", 2),
        ("app", "'app' has no callable named 'application'; it has `create_app()`, which app:create_app() names", 3),
    ]:
        command = [harness.gilkeeper(), "serve", script, "--port", "0", "--admin", "off"]
        ended = subprocess.run(command, cwd=folder, env=environment(folder), capture_output=True, text=True, timeout=30)
        assert ended.returncode == code and told in ended.stderr.splitlines()[-1], ended
        # Reported: one traceback three times. Met wherever standard error is no terminal and takes the log, too.
        assert ended.stderr.count("Traceback (most recent call last)") <= 1, ended.stderr


@pytest.mark.alone("a time, beside that of a bare Python")
def test_the_cold_start_is_a_few_starts_of_python(tmp_path: Path) -> None:
    """Where a bare Python starts in 12 ms, help within 60 and a first answer within 250: the shortest of some tries, in turn."""
    measure = runpy.run_path(str(GUIDE.parents[1] / "bench/cold_start.py"))
    (tmp_path / "hello.py").write_text(measure["HELLO"])
    python = str(Path(harness.gilkeeper()).with_name("python"))

    def bare() -> float:
        begin = time.perf_counter()
        subprocess.run([python, "-I", "-S", "-c", "pass"], check=True)
        return time.perf_counter() - begin

    tries = [(bare(), *(measure[what](harness.gilkeeper(), tmp_path) for what in ("overview", "first_answer"))) for _ in range(12)]
    of_python, of_help, of_answer = map(min, zip(*tries, strict=True))
    assert of_help <= 5 * of_python and of_answer <= 20 * of_python, (of_python, of_help, of_answer)


def test_a_server_without_a_home_writes_into_its_state_folder_only() -> None:
    without_a_home()


def test_a_callable_that_comes_with_a_request_is_only_a_name(gilkeeper: Callable[..., Gilkeeper], tmp_path: Path) -> None:
    """Calls are the configuration's to make: a client that chooses the callable must not get one evaluated."""
    script, marker = tmp_path / "named.py", tmp_path / "called"
    script.write_text(
        "def application(environ, start_response):\n    start_response('200 OK', [])\n    return [b'by name']\n"
        f"def factory():\n    open({str(marker)!r}, 'w').close()\n    return application\n"
    )
    conf = """
WSGIDaemonProcess a
SetEnvIf X-Callable (.+) NAME=$1
WSGIScriptAlias / ${APP}/named.py process-group=a application-group=%{GLOBAL}
WSGICallableObject %{ENV:NAME}
"""
    server = gilkeeper([script], conf)
    for name, status in [("application", 200), ("factory()", 500), ("application.__class__", 500)]:
        assert server.ask("/", headers={"X-Callable": name}).status == status, name
    assert not marker.exists()
