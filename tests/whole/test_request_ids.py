"""Ids of requests: in both logs, for the application and its logging, in the response; and the pages of the guide about logs."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import harness
import pytest
from harness import until
from pages import GUIDE, Transcript
from running import Gilkeeper
from test_first_hour import environment

Start = Callable[..., Gilkeeper]

APP = """
import contextvars, json, logging, threading
import gilkeeper

log = logging.getLogger("shop")

def application(environ, start_response):
    print("printed", file=environ["wsgi.errors"])
    log.warning("logged")
    other = threading.Thread(target=contextvars.copy_context().run, args=(log.warning, "from a thread"))
    other.start()
    other.join()
    if environ["PATH_INFO"] == "/raise":
        raise ValueError("as asked")
    told = {key: environ.get(key) for key in ("HTTP_X_REQUEST_ID", "gilkeeper.request_id", "mod_wsgi.request_id")}
    start_response("200 OK", [("X-Own", gilkeeper.request_id())])
    return [json.dumps(told).encode()]
"""
LOGGING = {
    "version": 1,
    "formatters": {"line": {"format": "%(name)s %(message)s of %(request_id)s"}},
    "handlers": {"errors": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["errors"], "level": "INFO"},
}
CONF = """
GilkeeperRequestId On
GilkeeperLogConfig ${APP}/logging.json
ErrorLogFormat {form}
CustomLog ${ROOT}/access.{form} {form}
WSGIDaemonProcess one threads=1
WSGIScriptAlias / ${APP}/shop.py process-group=one application-group=%{GLOBAL}
"""


Served = Callable[..., Gilkeeper]


@pytest.fixture
def served(gilkeeper: Start, tmp_path: Path) -> Served:
    """A server whose logs have a form."""
    files = {"shop.py": APP, "logging.json": json.dumps(LOGGING)}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    return lambda form, more="": gilkeeper([tmp_path / name for name in files], CONF.replace("{form}", form) + more)


@pytest.mark.parametrize("form", ["text", "json", "logfmt"])
def test_every_line_of_a_request_has_its_id(served: Served, form: str) -> None:
    server = served(form)
    answer = server.ask("/", headers={"X-Request-ID": "of-a-client"})
    (first,) = answer.all("x-request-id")
    told = answer.json
    assert re.fullmatch("[0-9a-f]{32}", first)
    assert told["HTTP_X_REQUEST_ID"] == told["gilkeeper.request_id"] == first == answer.all("x-own")[0]
    (second,) = server.ask("/raise").all("x-request-id")
    assert second != first
    # A request that no application sees.
    refused = server.ask("/", method="TRACE")
    assert refused.status == 405 and refused.all("x-request-id") not in ([first], [second])

    def lines() -> list[str]:
        return [line for line in server.log().splitlines() if first in line or second in line]

    until(lambda: "ValueError: as asked" in server.log(), "the traceback")
    until(lambda: server.log().count("logged of") == 2, "what the application logs")
    for one in (first, second):
        own = [line for line in lines() if one in line]
        assert any(f"logged of {one}" in line for line in own), own
        assert any(f"from a thread of {one}" in line for line in own), own
        (printed,) = [line for line in own if "printed" in line]
        if form == "json":
            assert json.loads(printed)["request_id"] == one
        elif form == "logfmt":
            assert f" request_id={one} " in printed
        else:
            assert f" [request {one}] printed" in printed
    assert second in next(line for line in server.log().splitlines() if "ValueError" in line)
    access = server.root / f"access.{form}"
    if form != "text":
        until(lambda: second in access.read_text(), "the access log")
        line = next(line for line in access.read_text().splitlines() if first in line)
        assert json.loads(line)["request_id"] == first if form == "json" else f" request_id={first} " in line


def test_a_trusted_proxy_names_the_request(served: Served) -> None:
    server = served("json", "WSGITrustedProxies 127.0.0.1\n")
    for sent, taken in (("a-1.b/c", True), ("x" * 64, True), ("x" * 65, False), ("a b", False), ('"', False)):
        (id_,) = server.ask("/", headers={"X-Request-ID": sent}).all("x-request-id")
        assert (id_ == sent) == taken, (sent, id_)


def test_without_the_directive_nothing_is_added(served: Served) -> None:
    server = served("json", "GilkeeperRequestId Off\n")
    answer = server.ask("/", headers={"X-Request-ID": "of-a-client"})
    assert answer.all("x-request-id") == [] and answer.json["gilkeeper.request_id"] is None
    assert answer.json["HTTP_X_REQUEST_ID"] == "of-a-client"
    # The number of the front is there in any case.
    number = answer.json["mod_wsgi.request_id"]
    assert answer.all("x-own") == [number]
    until(lambda: f"logged of {number}" in server.log(), "the number in the application's line")


def test_a_dictionary_that_python_refuses_ends_the_start() -> None:
    server = Gilkeeper([], CONF.replace("{form}", "text"))
    (server.root / "app" / "shop.py").write_text(APP)
    (server.root / "app" / "logging.json").write_text('{"version": 1, "handlers": {"x": {"class": "no.such.Handler"}}}')
    try:
        try:
            server.start()
        except harness.Unusable:
            pass
        assert server.process is not None and server.process.wait(30) == 3
        assert "GK0074" in server.log() and "no.such" in server.log()
    finally:
        server.kill()
        server.clean()


def test_the_guide_about_logs_is_a_transcript() -> None:
    folder = Path(tempfile.mkdtemp(prefix="logs-"))
    try:
        project = folder / "project"
        project.mkdir()
        said = Transcript(project, environment(folder)).run(GUIDE / "logging.md")
        assert "tea" in said and "a cup is empty" in said
    finally:
        shutil.rmtree(folder)
