"""Twenty real configurations: `check` takes each, and ten URLs of each get what Apache with mod_wsgi gives.

The answers of Apache are kept in answers.json; on mod_wsgi they are compared, too, so that they stay true.
"""

from __future__ import annotations

import base64
import importlib.util
import json
import re
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import client
import harness
import pytest

HERE = Path(__file__).parent


def load(name: str) -> object:
    """A module of this folder."""
    spec = importlib.util.spec_from_file_location(f"corpus_{name}", HERE / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


site = load("site")
ANSWERS: dict[str, dict[str, str]] = json.loads((HERE / "answers.json").read_text())
# What is not as with Apache, and why. Each must differ, so that the list stays true.
DIFFERENT: dict[tuple[str, str], str] = {}
# Configurations whose answers need what is not built yet. One whose answers are right by now fails, so that the list stays true.
NOT_YET: dict[str, str] = {}


def each() -> list[object]:
    """The names, those of NOT_YET as failures that must come on ours."""
    listed = NOT_YET if harness.UNDER_TEST == "ours" else {}
    marks = {name: pytest.mark.xfail(reason=f"not built yet: {why}", strict=True) for name, why in listed.items()}
    return [pytest.param(name, marks=[marks[name]] if name in marks else []) for name in ANSWERS]


@pytest.fixture
def running(request: pytest.FixtureRequest) -> Iterator[harness.Server]:
    server = site.Site(request.param)  # type: ignore[attr-defined]
    server.start()
    try:
        yield server
    except BaseException:
        server.kill()
        raise
    server.stop()
    server.clean()


class Tls(client.Connection):
    """A connection with TLS, whatever the certificate."""

    def __init__(self, port: int, name: str) -> None:
        super().__init__(port)
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.socket = context.wrap_socket(self.socket, server_hostname=name)


def answer(server: harness.Server, asked: str) -> str:
    """The answer to one line: `[METHOD ][user@][host][:port]/path`, the port as the configuration has it."""
    match = re.fullmatch(r"(?:([A-Z]+) )?(?:(\w+)@)?([\w.]*)(?::(\d+))?(/.*)", asked)
    assert match is not None, asked
    method, user, host, port, path = match.groups()
    ports = server.ports  # type: ignore[attr-defined]
    server.port = ports[port] if port else next(iter(ports.values()))
    headers = {"Authorization": "Basic " + base64.b64encode(f"{user}:secret".encode()).decode()} if user else {}
    asked_port = port or next(iter(ports))
    tls = server.speaks_tls(asked_port)  # type: ignore[attr-defined]
    with Tls(server.port, host or "localhost") if tls else server.connect() as connection:
        given = [*headers.items(), ("Connection", "close")]
        connection.send(client.message(method or "GET", path, given, host=f"{host or 'localhost'}:{server.port}"))
        found = connection.response(method or "GET")
    body = found.body.decode("latin-1").strip() if found.status == 200 else ""
    # To the same host it may be absolute or not.
    to = (found.get("Location") or "").removeprefix(f"http://{host or 'localhost'}:{server.port}")
    text = " ".join(filter(None, [str(found.status), body, to]))
    return text.replace(f":{server.port}", ":PORT")


@pytest.mark.parametrize("running", each(), indirect=True)
def test_ten_urls(running: harness.Server, request: pytest.FixtureRequest) -> None:
    name = request.node.callspec.params["running"]
    wanted = dict(ANSWERS[name])
    found = {asked: answer(running, asked) for asked in wanted}
    if harness.UNDER_TEST == "ours":
        for asked in wanted:
            if (name, asked) in DIFFERENT:
                assert found.pop(asked) != wanted[asked], f"{asked}: it is equal by now"
        wanted = {asked: embedded(wanted[asked], found[asked]) for asked in found}
    assert found == wanted


def embedded(theirs: str, ours: str) -> str:
    """What mod_wsgi runs in Apache's own processes runs in the first process group here, where embedded mode is off."""
    fields, found = theirs.split("|", 4), ours.split("|", 4)
    if len(fields) == len(found) == 5 and not fields[3]:
        fields[3] = found[3]
    return "|".join(fields)


@pytest.mark.only("ours", "Apache has no such command")
@pytest.mark.parametrize("name", ANSWERS)
def test_check_takes_it(name: str) -> None:
    made = site.Site(name)  # type: ignore[attr-defined]
    try:
        (made.root / "server.conf").write_text(made.configuration())
        command = [harness.gilkeeper(), "check", "-c", str(made.root / "server.conf")]
        checked = subprocess.run(command, capture_output=True, text=True, cwd=made.root, timeout=60)
        assert checked.returncode == 0, checked.stdout[-3000:] + checked.stderr
    finally:
        made.clean()


def test_each_has_ten() -> None:
    assert sorted(ANSWERS) == site.NAMES  # type: ignore[attr-defined]
    assert {name: len(asked) for name, asked in ANSWERS.items() if len(asked) != 10} == {}
