"""docs/guide/from-apache.md, followed step by step with three real configurations: each command of the page is run as it stands."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import harness
import pytest

PAGE = harness.REPOSITORY / "docs/guide/from-apache.md"
CORPUS = harness.REPOSITORY / "compat/scenarios/corpus"
SUMMARY = re.compile(r"^\d+ directives?: .*$", re.MULTILINE)


def commands() -> list[str]:
    """The commands in the blocks of the page, in order."""
    lines, block = [], None
    for line in PAGE.read_text().splitlines():
        if line.startswith("```"):
            block = line if block is None else None
        elif block == "```":
            lines.append(line)
    return [line for line in lines if line.startswith(("gilkeeper ", "curl "))]


@dataclass
class Case:
    """A configuration, and what its owner finds and changes."""

    name: str
    # Exit status of the first `check`, and words that it must say.
    status: int
    says: list[str]
    # Lines of the file: pattern and what takes its place.
    changes: list[tuple[str, str]]
    host: str
    url: str
    answer: str
    # Answers of the first file, where it is served.
    before: int | None = None


CASES = [
    # A site of one application: the ports of its virtual host are taken.
    Case(
        name="02-django-daemon",
        status=0,
        says=["served by process group mysite", "a sub-interpreter for each host, port and mount point"],
        changes=[(r"(?m)^(WSGIProcessGroup .*)$", r"\1\nWSGIApplicationGroup %{GLOBAL}")],
        host="localhost",
        url="/a",
        answer="wsgi.py||/a|mysite|",
    ),
    # TLS moves to a proxy, although it is spoken here, and the host gets a port that only the proxy reaches.
    Case(
        name="13-privacyidea",
        status=0,
        says=["speaks: TLSv1.2 TLSv1.3", "certificate: "],
        changes=[
            (r"(?m)^SSL(Engine|Protocol|CipherSuite|Certificate).*\n", ""),
            (r"(?m)^Listen (\d+)$", r"Listen 127.0.0.1:\1"),
            (r"(?m)^(ServerName .*)$", r"\1\nWSGITrustedProxies 127.0.0.1\nWSGITrustedProxyHeaders X-Forwarded-For X-Forwarded-Proto X-Forwarded-Host"),
        ],
        host="localhost",
        url="/a",
        answer="app.wsgi||/a|pi|",
    ),
    # A line that protects closes its scope until it is deleted.
    Case(
        name="15-pulp",
        status=0,
        says=["SSLRequireSSL: honoured", "tls: SSLRequireSSL"],
        changes=[(r"(?m)^SSL(RequireSSL|CACertificateFile).*\n", "")],
        host="localhost",
        url="/pulp/api/v2",
        answer="webservices.wsgi|/pulp/api|/v2|pulp|pulp",
        before=403,
    ),
]


def site_of(name: str) -> Any:
    """The configuration with its folders, scripts and ports, as the corpus makes it."""
    spec = importlib.util.spec_from_file_location("corpus_site", CORPUS / "site.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    # As it is found in the world, with its TLS.
    module.PLAIN = ()
    made = module.Site(name)
    if not made.ports:
        made.ports = {"80": made.port}
    return made


class Follower:
    """Runs the page's commands for one configuration in the site's folder."""

    def __init__(self, case: Case) -> None:
        self.case, self.site = case, site_of(case.name)
        self.folder: Path = self.site.root
        self.file = self.folder / "site.conf"
        listens = re.search(r"(?m)^Listen (?:\S*:)?(\d+)|^<VirtualHost \S+:(\d+)>", self.file.read_text())
        self.port = int(next(filter(None, listens.groups()))) if listens else self.site.port
        # Another test's server has the usual port of the admin pages.
        self.file.write_text("GilkeeperAdmin off\n" + self.file.read_text())
        self.run: list[str] = []
        self.server: subprocess.Popen[str] | None = None
        path = f"{Path(harness.gilkeeper()).parent}:{os.environ['PATH']}"
        self.environment = {**os.environ, "PATH": path, harness.MARK: self.site.run}

    def words(self, command: str) -> list[str]:
        assert command in commands(), f"the page has no command {command!r}"
        self.run.append(command)
        moved = command.replace("/var/log/site", str(self.folder)).replace("Host: example.com", f"Host: {self.case.host}")
        return shlex.split(moved.replace("127.0.0.1:8000/", f"127.0.0.1:{self.port}{self.case.url}"))

    def tell(self, command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.words(command), cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL
        )

    def serve(self, command: str) -> None:
        with open(self.folder / "console.log", "w") as console:
            self.server = subprocess.Popen(
                self.words(command), cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL, stdout=console, stderr=console, text=True
            )
        harness.until(lambda: self.server.poll() is not None or "Serving" in self.site.console(), "it serves", 60)
        assert self.server.poll() is None, self.site.console()

    def change(self) -> None:
        text = self.file.read_text()
        for pattern, new in self.case.changes:
            text, count = re.subn(pattern, new, text)
            assert count, f"nothing is like {pattern}"
        self.file.write_text(text)


@pytest.fixture
def follower(request: pytest.FixtureRequest) -> Iterator[Follower]:
    one = Follower(request.param)
    yield one
    if one.server is not None and one.server.poll() is None:
        one.server.terminate()
        one.server.wait(30)
    one.site.clean()


@pytest.mark.parametrize("follower", CASES, indirect=True, ids=lambda case: case.name)
def test_each_step(follower: Follower) -> None:
    case = follower.case
    check, with_python, serve, ask, status, reload, stop = commands()

    first = follower.tell(check)
    assert first.returncode == case.status, first.stdout + first.stderr
    assert [word for word in case.says if word not in first.stdout] == [], first.stdout
    messages, summary = first.stdout.find("warning: "), SUMMARY.search(first.stdout)
    assert summary is not None and messages < summary.start()

    if case.before is not None:
        follower.serve(serve)
        assert follower.tell(ask).stdout.strip() == str(case.before)
        follower.run.clear()
        assert follower.tell(stop).returncode == 0 and follower.server is not None and follower.server.wait(30) == 0
    follower.change()

    second = follower.tell(check)
    assert second.returncode == 0, second.stdout + second.stderr
    found = SUMMARY.search(second.stdout)
    assert found is not None and not re.search(r"proxy|closing|unknown|error|otherwise", found[0]), found
    assert follower.tell(with_python).returncode == 0

    follower.serve(serve)
    assert follower.tell(ask).stdout.strip() == "200"
    answer = harness.client.ask(follower.port, case.url, headers={"Host": case.host})
    assert answer.body.decode().startswith(case.answer), answer.body
    for command in (status, reload):
        told = follower.tell(command)
        assert told.returncode == 0, told.stdout + told.stderr
    assert follower.tell(ask).stdout.strip() == "200"
    assert follower.tell(stop).returncode == 0
    assert follower.server is not None and follower.server.wait(30) == 0
    assert sorted(set(follower.run)) == sorted(set(commands()))
