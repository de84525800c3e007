"""Flask, Django and a validated application through the real server, on the CPython it is installed with."""

from __future__ import annotations

import json
import os
import re
import urllib.parse
from collections.abc import Callable
from pathlib import Path

import client
import pytest
from harness import APPS, until
from running import Gilkeeper

Start = Callable[..., Gilkeeper]
NAME = os.environ.get("GILKEEPER_PYTHON_NAME", "3.14")


def form(**fields: str) -> dict[str, object]:
    return {"body": urllib.parse.urlencode(fields).encode(), "headers": {"Content-Type": "application/x-www-form-urlencoded"}}


def upload(name: str, content: bytes, **fields: str) -> dict[str, object]:
    """A multipart form with one file."""
    edge = "edge-of-a-part"
    parts = [f'--{edge}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode() for key, value in fields.items()]
    head = f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\nContent-Type: application/x-test\r\n\r\n'
    body = b"".join(parts) + head.encode() + content + f"\r\n--{edge}--\r\n".encode()
    return {"body": body, "headers": {"Content-Type": f"multipart/form-data; boundary={edge}"}}


def test_flask(gilkeeper: Start) -> None:
    """The example site: list, search, form, upload, download, style sheet, slow page, error page."""
    server = gilkeeper([APPS / "site"], arguments=["{app}/wsgi.py", "--processes", "2", "--threads", "5"])
    page = server.ask("/")
    assert page.status == 200 and "text/html" in (page.get("Content-Type") or "")
    assert page.body.count(b"<tr>") == 21 and b"Calvino" in page.body
    assert b"Solaris" in server.ask("/?q=lem").body
    assert server.ask("/static/style.css").get("Content-Type") == "text/css; charset=utf-8"

    added = server.ask("/books/new", "POST", **form(title="Ulysses", author="James Joyce", year="1922"))
    assert added.status == 303
    book = urllib.parse.urlsplit(added.get("Location") or "").path
    assert b"Ulysses" in server.ask(book).body
    assert server.ask("/books/new", "POST", **form(title="", author="x")).status == 422

    content = bytes(range(256)) * 5000
    assert server.ask(f"{book}/files", "POST", **upload("pages.bin", content)).status == 303
    link = re.search(rb'href="(/files/\d+)"', server.ask(book).body)
    assert link
    got = server.ask(link[1].decode())
    assert got.body == content and "pages.bin" in (got.get("Content-Disposition") or "")

    slow = server.ask("/slow?seconds=0.2")
    assert slow.complete and slow.body.count(b"<li>shelf") == 10
    assert server.ask("/nothing").status == 404
    server.mark_log()
    assert server.ask("/error").status == 500


BACKGROUND = """
import threading
from flask import Flask, request

application = Flask(__name__)
seen, go = [], threading.Event()


def later():
    go.wait()
    try:
        seen.append(request.path)
    except RuntimeError as error:
        seen.append(str(error).splitlines()[0])


@application.get("/begin")
def begin():
    thread = threading.Thread(target=later)
    thread.start()
    application.config["thread"] = thread
    return "begun"


@application.get("/end")
def end():
    go.set()
    application.config["thread"].join()
    return seen[0]
"""


@pytest.mark.parametrize("variable", ["", "0", "1"])
def test_a_background_thread_and_the_request_that_started_it(gilkeeper: Start, tmp_path: Path, variable: str) -> None:
    """The guide's example (free-threading.md): in a free-threaded build, its GIL on or off, the request is still there."""
    (tmp_path / "background.py").write_text(BACKGROUND)
    environment = {"PYTHON_THREAD_INHERIT_CONTEXT": variable} if variable else {}
    server = gilkeeper([tmp_path / "background.py"], arguments=["{app}/background.py"], environment=environment)
    assert server.ask("/begin").body == b"begun"
    # The variable came with 3.14.
    inherits = NAME not in ("3.11", "3.12", "3.13") and (variable == "1" or NAME.endswith("t") and variable != "0")
    assert server.ask("/end").body == (b"/begin" if inherits else b"Working outside of request context.")


def test_django(gilkeeper: Start) -> None:
    """Admin with its static files and login, ORM, upload, streaming response, an exception."""
    conf = """
WSGIDaemonProcess notes processes=2 threads=3
WSGIScriptAlias / ${APP}/wsgi.py process-group=notes application-group=%{GLOBAL}
"""
    server = gilkeeper([APPS / "django_site"], conf)
    # Beside other work the first import of Django takes longer than a request waits for a worker.
    until(lambda: len(server.workers()) == 2, "both workers have imported Django", 60)
    login = server.ask("/admin/login/?next=/admin/")
    assert login.status == 200
    style = re.search(rb'href="(/static/admin/css/base[^"]*\.css)"', login.body)
    assert style and server.ask(style[1].decode()).status == 200
    token = re.search(rb'name="csrfmiddlewaretoken" value="([^"]+)"', login.body)
    cookie = (login.all("Set-Cookie")[0]).split(";")[0]
    assert token
    sent = form(csrfmiddlewaretoken=token[1].decode(), username="admin", password="admin", next="/admin/")
    sent["headers"] = {**sent["headers"], "Cookie": cookie, "Referer": "http://localhost/admin/login/"}  # type: ignore[dict-item]
    entered = server.ask("/admin/login/", "POST", **sent)
    assert entered.status == 302, entered.body[:500]
    session = [one.split(";")[0] for one in entered.all("Set-Cookie") if one.startswith("sessionid=")][0]
    assert b"Site administration" in server.ask("/admin/", headers={"Cookie": session}).body

    content = bytes(range(256)) * 10_000
    made = server.ask("/notes/", "POST", **upload("note.bin", content, text="from a test"))
    assert made.status == 201 and made.json["size"] == len(content)
    assert {"id": made.json["id"], "text": "from a test"} in server.ask("/notes/").json["notes"]
    assert server.ask(f"/notes/{made.json['id']}/file").body == content
    stream = server.ask("/stream/")
    assert stream.complete and stream.body.endswith(b"line 999\n")
    server.mark_log()
    assert server.ask("/error/").status == 500
    server.wait_log("RuntimeError: as /error was asked to")


def test_validated(gilkeeper: Start) -> None:
    """Nothing the standard library's validator can see is wrong, on the server's side."""
    server = gilkeeper([APPS / "validated.py"], arguments=["{app}/validated.py", "--threads", "2"])
    bodies = {"/": b"nothing sent", "/many": b"one two three", "/none": b"", "/write": b"written returned"}
    for target, body in bodies.items():
        answer = server.ask(target)
        assert (answer.status, answer.body) == (200, body), server.log()[-2000:]
        assert server.ask(target, "HEAD").status == 200
    sent = b"a first line\nsecond\nthird and last"
    assert server.ask("/", "POST", body=sent).body == sent
    assert server.ask("/?x=1", "PUT", body=b"").body == b"nothing sent"
    assert "AssertionError" not in server.console() + server.log()


def test_a_module_by_name(gilkeeper: Start) -> None:
    """`package.module:callable`, found through --python-path."""
    server = gilkeeper([APPS / "probes.py"], arguments=["probes:application", "--python-path", "{app}", "--threads", "2"])
    assert server.ask("/single").body == b"exactly one block"


def test_the_gil_mode_is_told(gilkeeper: Start) -> None:
    server = gilkeeper([APPS / "hello.py"], arguments=["{app}/hello.py", "--processes", "2"])
    workers = server.status()["workers"]
    assert len(workers) == 2 and {worker["gil_mode"] for worker in workers}
    assert json.dumps(workers)
    with server.connect() as connection:
        connection.send(client.message("GET", "/") * 100)
        assert all(connection.response().body == b"Hello, world!" for _ in range(100))
