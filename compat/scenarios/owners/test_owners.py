"""script-user= and script-group=: the owner of a script, and who else may write it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from harness import Server

FILE, FOLDER = 0o644, 0o755


@pytest.fixture
def modes(server: Server) -> Iterator[Server]:
    """The server; afterwards its files have their usual modes again."""
    yield server
    (server.root / "app" / "probes.py").chmod(FILE)
    (server.root / "app").chmod(FOLDER)


def case(target: str, *more: object) -> object:
    """A case of the process group that is mounted there."""
    return pytest.param(target, *more, marks=pytest.mark.group(target[1:]))


@pytest.mark.parametrize("target", [case("/by-user"), case("/by-group")])
def test_the_owners_script_is_run(server: Server, target: str) -> None:
    assert server.ask(f"{target}/single").status == 200


@pytest.mark.parametrize(("target", "code"), [case("/others", "WSGI0164"), case("/other-group", "WSGI0155")])
def test_anybody_elses_is_not(server: Server, target: str, code: str) -> None:
    server.mark_log()
    assert server.ask(f"{target}/single").status == 403
    server.wait_log(code)


WRITABLE = [
    ("/by-user", 0o664, FOLDER, "WSGI0166"),
    ("/by-user", 0o646, FOLDER, "WSGI0168"),
    ("/by-user", FILE, 0o775, "WSGI0173"),
    ("/by-user", FILE, 0o757, "WSGI0172"),
    ("/by-group", 0o664, 0o775, None),
    ("/by-group", 0o646, FOLDER, "WSGI0157"),
    ("/by-group", FILE, 0o757, "WSGI0161"),
]


@pytest.mark.parametrize(("target", "file", "folder", "code"), [case(*one) for one in WRITABLE])
def test_who_else_may_write(modes: Server, target: str, file: int, folder: int, code: str | None) -> None:
    modes.mark_log()
    (modes.root / "app" / "probes.py").chmod(file)
    (modes.root / "app").chmod(folder)
    assert modes.ask(f"{target}/single").status == (403 if code else 200)
    if code:
        modes.wait_log(code)
