"""`gilkeeper dev`, the commands in a Django project, and pytest's fixture: what a developer sees after an edit."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import harness
import pytest
from pages import environment

import client

APP = """
from flask import Flask, Response, render_template

app = Flask(__name__)
import parts


@app.get("/")
def index():
    return parts.WORD + render_template("page.html")


@app.get("/fails")
def fails():
    return "x" + parts.broken({"a": 1})


@app.get("/later")
def later():
    def blocks():
        yield "begun"
        raise KeyError("late")

    return Response(blocks())


@app.get("/leaves")
def leaves():
    raise SystemExit("enough")
"""
PARTS = "WORD = 'first'\n\n\ndef broken(given):\n    return given['<b>']\n"


class Developed:
    """`gilkeeper dev` in a folder."""

    def __init__(self, folder: Path, command: list[str]) -> None:
        self.port = int(command[-1])
        self.log = folder / "terminal.log"
        # The admin pages of other tests may have the usual port.
        variables = environment(folder, GILKEEPER_ADMIN="off")
        with self.log.open("w") as log:
            self.process = subprocess.Popen(command, cwd=folder, env=variables, stdout=subprocess.PIPE, stderr=log, text=True)
        assert self.process.stdout is not None
        # What Django says before.
        lines = iter(self.process.stdout.readline, "")
        first = next((line for line in lines if line.startswith("Serving ")), "")
        assert first.startswith(f"Serving http://127.0.0.1:{self.port}/ with 1 process x 5 threads"), (first, self.log.read_text())

    def get(self, path: str = "/", **headers: str) -> tuple[int, str]:
        answer = client.ask(self.port, path, headers={"Accept": "text/html", **headers})
        return answer.status, answer.body.decode()

    def until(self, wanted: str, status: int = 200, path: str = "/") -> str:
        """The page once it holds `wanted`: the kernel tells of an edit a moment later."""
        found: list[tuple[int, str]] = []

        def holds() -> bool:
            found[:] = [self.get(path)]
            return found[0][0] == status and wanted in found[0][1]

        try:
            harness.until(holds, f"a page with {wanted}", 60)
        except AssertionError as late:
            raise AssertionError(f"{late}; {found} {self.log.read_text()}") from None
        return found[0][1]

    def end(self) -> None:
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(timeout=30) == 0, self.log.read_text()
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
def develop(folder: Path) -> Iterator[Callable[..., Developed]]:
    started: list[Developed] = []

    def start(*words: str, command: tuple[str, ...] = ("dev",)) -> Developed:
        port = str(harness.free_port())
        given = [harness.gilkeeper(), *command, *words, "--port", port] if command[0] == "dev" else [*command, *words, port]
        started.append(Developed(folder, given))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.end()


def test_an_edit_is_served_and_a_broken_one_is_shown(folder: Path, develop: Callable[..., Developed]) -> None:
    (folder / "templates").mkdir()
    (folder / "templates/page.html").write_text(" page")
    (folder / "app.py").write_text(APP)
    (folder / "parts.py").write_text(PARTS)
    # What the project says of its deployment is none of a developer's concern.
    (folder / "gilkeeper.toml").write_text("script = 'app'\nprocesses = 4\nhost = '0.0.0.0'\nlog-directory = 'log'\n")
    server = develop()
    assert server.get() == (200, "first page")

    (folder / "parts.py").write_text(PARTS.replace("first", "second"))
    server.until("second page")
    # Formatted right after it was saved: the same second and length, so that byte code of the version before would do.
    for word in ("thirds", "fourth", "second"):
        (folder / "parts.py").write_text(PARTS.replace("first", word))
        server.until(f"{word} page")
    # As editors save: a new file in the place of the old one.
    (folder / "templates/.page.new").write_text(" leaf")
    (folder / "templates/.page.new").rename(folder / "templates/page.html")
    server.until("second leaf")

    (folder / "parts.py").write_text("WORD = (\n")
    page = server.until("SyntaxError", 500)
    assert "parts.py" in page and "importlib" not in page
    assert server.get(Accept="*/*")[1].startswith("Traceback (most recent call last):")
    # Reported: the last line of this traceback was a message of its own. Met in a terminal, where it had the words in brackets again.
    whole = r"\[([^]]+)\] \[wsgi:error\] [^\n]*cannot be imported;[\s\S]*WORD = \([\s\S]*\n\[\1\] [^\n]*SyntaxError"
    harness.until(lambda: re.search(whole, server.log.read_text()), "the traceback is in the log")
    # The module is away, and comes back: no file that was imported has changed.
    (folder / "parts.py").unlink()
    page = server.until("ModuleNotFoundError", 500)
    # Reported: quotes in the title were escaped twice.
    assert "<title>ModuleNotFoundError: No module named &#x27;parts&#x27;</title>" in page
    (folder / "parts.py").write_text(PARTS)
    server.until("first leaf")
    assert not (folder / "log").exists()


def test_an_exception_is_a_page_for_the_developer_alone(folder: Path, develop: Callable[..., Developed]) -> None:
    (folder / "app.py").write_text(APP)
    (folder / "parts.py").write_text(PARTS)
    server = develop("app:app")
    status, page = server.get("/fails")
    assert status == 500 and "KeyError: &#x27;&lt;b&gt;&#x27;" in page and "<b>'" not in page
    # Open is what belongs to the project.
    opened = re.findall(r"<details open><summary>(\S+):\d+ <b>(\w+)</b>", page)
    assert opened == [(str(folder / "app.py"), "fails"), (str(folder / "parts.py"), "broken")]
    assert "gilkeeper/dev.py" not in page
    # The line is written beside the answer, by another process.
    told = lambda: re.search(r"GET /fails failed[\s\S]*KeyError", server.log.read_text())
    harness.until(told, "the traceback is in the log", 20)
    log = server.log.read_text()
    assert "parts.py" in log and "gilkeeper/dev.py" not in log
    for header in ("X-Forwarded-For", "Forwarded"):
        status, text = server.get("/fails", **{header: "for=192.0.2.1"})
        assert status == 500 and "KeyError" not in text and "terminal" in text
    # Reported: a view that calls sys.exit() had a page without a word about where. Met with a forgotten exit() of a debugging session.
    status, page = server.get("/leaves")
    assert status == 500 and "SystemExit: enough" in page and "<b>leaves</b>" in page
    # After the head nothing can be shown: it is broken off, as everywhere.
    with client.Connection(server.port) as connection:
        connection.send(b"GET /later HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = connection.response()
        assert (answer.status, answer.complete) == (200, False)


def test_an_application_for_another_interface_is_named(folder: Path, develop: Callable[..., Developed]) -> None:
    """Reported: each page was a TypeError about missing arguments. Met with FastAPI, and with Django's asgi.py."""
    (folder / "one.py").write_text("async def application(scope, receive, send): ...\n")
    (folder / "two.py").write_text("class App:\n    async def __call__(self, scope, receive, send): ...\n\n\napp = App()\n")
    server = develop("one")
    assert "one has an ASGI application" in server.get()[1]
    server.end()
    assert "two has an ASGI application" in develop("two:app").get()[1]


def commands() -> Path:
    return Path(harness.gilkeeper()).parent


def test_a_django_project_has_its_commands(folder: Path, develop: Callable[..., Developed]) -> None:
    run = {"cwd": folder, "env": environment(folder), "capture_output": True, "text": True, "timeout": 120}
    subprocess.run(["django-admin", "startproject", "mysite", "."], check=True, **run)  # type: ignore[call-overload]
    settings = folder / "mysite/settings.py"
    settings.write_text(settings.read_text().replace("INSTALLED_APPS = [", "INSTALLED_APPS = [\n    'gilkeeper.django',"))
    server = develop(command=(str(commands() / "python"), "manage.py", "gilkeeper"))
    assert "The install worked successfully" in server.get()[1]
    assert server.get("/static/admin/css/base.css")[0] == 200
    urls = folder / "mysite/urls.py"
    urls.write_text(urls.read_text() + "\nurlpatterns += [path('new/', lambda request: __import__('django.http').http.HttpResponse('new'))]\n")
    server.until("new", path="/new/")
    settings.write_text(settings.read_text() + "\nDEBUG = nothing\n")
    assert "settings.py" in server.until("NameError", 500)
    settings.write_text(settings.read_text().replace("DEBUG = nothing", ""))
    server.until("new", path="/new/")
    server.end()
    checked = subprocess.run(["python", "manage.py", "check", "--deploy", "--tag", "gilkeeper"], check=False, **run)  # type: ignore[call-overload]
    assert checked.returncode == 0 and "E00" not in checked.stderr, checked
    settings.write_text(settings.read_text() + "\nWSGI_APPLICATION = 'mysite.gone.application'\n")
    checked = subprocess.run(["python", "manage.py", "check", "--deploy", "--tag", "gilkeeper"], check=False, **run)  # type: ignore[call-overload]
    assert checked.returncode == 1 and "gilkeeper.E00" in checked.stderr, checked


def test_pytest_has_a_server_for_an_application(folder: Path) -> None:
    """By its entry point alone, in a project whose tests ask a real server."""
    (folder / "app.py").write_text(APP)
    (folder / "parts.py").write_text(PARTS)
    (folder / "pytest.ini").write_text("[pytest]\ngilkeeper_app = app:app\ngilkeeper_options = --threads 2\n")
    (folder / "test_it.py").write_text(
        "import os\nimport urllib.error\nimport urllib.request\n\nimport pytest\n\n\n"
        "def test_it(gilkeeper_server):\n    os.kill(gilkeeper_server.pid, 0)\n"
        "    with pytest.raises(urllib.error.HTTPError) as failed:\n        urllib.request.urlopen(gilkeeper_server.path('/fails'))\n"
        "    failed.value.close()\n    assert failed.value.code == 500\n    log = gilkeeper_server.wait_for_log('KeyError')\n"
        "    assert log in gilkeeper_server.log.read_text()\n"
        "    with pytest.raises(pytest.fail.Exception, match=r\"'no such words' did not come into the server's log within 0 s:\"):\n"
        "        gilkeeper_server.wait_for_log('no such words', timeout=0)\n"
    )
    packages = subprocess.run(
        [commands() / "python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], capture_output=True, text=True, check=True
    )
    variables = environment(folder) | {"PYTHONPATH": packages.stdout.strip(), "PYTHONDONTWRITEBYTECODE": "1", "GILKEEPER_PROCESSES": "x"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and "1 passed" in done.stdout, done
    (folder / "pytest.ini").write_text("[pytest]\ngilkeeper_app = gone:app\n")
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1 and "gilkeeper serve gone:app did not start" in done.stdout and "ModuleNotFoundError" in done.stdout, done
    assert not (folder / "state").exists()
