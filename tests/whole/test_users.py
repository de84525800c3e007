"""Users and folders: a front that gives up root, a start folder that is switched or removed."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable
from pathlib import Path

import harness
import pytest
from harness import APPS, until
from running import MEGABYTE, Gilkeeper, readable_by_others

Start = Callable[..., Gilkeeper]


def test_a_front_of_another_user_keeps_uploads_and_history(gilkeeper: Start, tmp_path: Path) -> None:
    """Reported: with `User daemon` every upload that did not fit into memory was a 503 and the history was lost. Met wherever root starts
    the server."""
    if os.getuid() != 0 or not readable_by_others(str(Path(harness.gilkeeper()).parent / "python")):
        pytest.skip("only root can become another user, and the other user must be able to run this Python")
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    conf = "User nobody\nWSGIDaemonProcess one threads=2 home=${APP}\nWSGIScriptAlias / ${APP}/probes.py process-group=one\n"
    # A log that its user may not write, as in /var/log.
    server = gilkeeper([APPS / "probes.py"], f'CustomLog "{private}/access.log" "%m %>s"\n{conf}', admin=harness.free_port())
    assert server.ask("/count", "POST", body=b"u" * MEGABYTE).json["length"] == MEGABYTE
    folder, nobody = server.server_root / "front", pwd.getpwnam("nobody")
    history = until(lambda: (path := folder / "gilkeeper.db").exists() and path, "the history's file")
    assert [(path.stat().st_uid, path.stat().st_mode & 0o777) for path in (folder, history)] == [(nobody.pw_uid, 0o700), (nobody.pw_uid, 0o600)]
    assert "history is kept in memory" not in server.log()
    until(lambda: (private / "access.log").read_text() == "POST 200\n", "the line in the closed folder")
    # No process runs as root but the supervisor, so there is nothing to warn of.
    assert "running as root" not in server.log()


def test_a_server_that_runs_as_root_says_so_once(gilkeeper: Start) -> None:
    """Reported: a server that root started without `User` ran the application as root, without a word."""
    if os.getuid() != 0:
        pytest.skip("needs root")
    server = gilkeeper([APPS / "probes.py"], "WSGIDaemonProcess one\nWSGIScriptAlias / ${APP}/probes.py process-group=one\n")
    assert server.tell("reload").returncode == 0
    said = [line for line in server.log().splitlines() if "running as root" in line]
    assert len(said) == 1 and "the front, process group 'one'" in said[0] and "--user" in said[0], server.log()
