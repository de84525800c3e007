"""Users and folders: a front that gives up root, a start folder that is switched or removed."""

from __future__ import annotations

import os
import pwd
import signal
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


class Started(Gilkeeper):
    """From a folder of its own, as a shell starts it: `$PWD` is the name that was typed."""

    folder = Path("/")
    file: str | None = None

    def command(self) -> list[str]:
        if self.file:
            options = ["--set", f"Listen 127.0.0.1:{self.port}", "--server-root", str(self.server_root), "--admin", "off"]
            command = [harness.gilkeeper(), "serve", "-c", self.file, *options]
            return ["sh", "-c", f'cd "{self.folder}" && exec "$0" "$@"', *command]
        return ["sh", "-c", f'cd "{self.folder}" && exec "$0" "$@"', *super().command()]


@pytest.mark.parametrize("form", ["script", "module", "file"])
def test_a_switched_link_serves_the_new_release(form: str, tmp_path: Path) -> None:
    """Reported: after the link `current` was switched, `gilkeeper reload` served the old release. Met with deploys by link."""
    for release in ("one", "two"):
        (tmp_path / release).mkdir()
        body = f"def application(environ, start_response):\n    start_response('200 OK', [])\n    return [b'{release}']\n"
        (tmp_path / release / "site_wsgi.py").write_text(body)
        mount = "WSGIDaemonProcess one\nWSGIScriptAlias / site_wsgi.py process-group=one\n"
        (tmp_path / release / "site.conf").write_text(mount)
    current = tmp_path / "current"
    current.symlink_to(tmp_path / "one")
    arguments = {"script": ["site_wsgi.py"], "module": ["site_wsgi"], "file": []}[form]
    server = Started([], arguments=arguments)
    server.file = "site.conf" if form == "file" else None
    server.folder = current
    try:
        server.start()
        assert server.ask("/").body == b"one"
        (tmp_path / "next").symlink_to(tmp_path / "two")
        (tmp_path / "next").rename(current)
        told = server.tell("reload")
        assert told.returncode == 0, told.stderr
        assert server.ask("/").body == b"two"
        assert server.stop() == 0
    finally:
        server.kill()
    server.clean()


def test_a_removed_start_folder_does_not_stop_workers(tmp_path: Path) -> None:
    """Reported: after the folder that the server was started in was removed, no worker started any more. Met with deploys that remove old
    releases."""
    start = tmp_path / "start"
    start.mkdir()
    server = Started([APPS / "probes.py"], arguments=["{app}/probes.py"])
    server.folder = start
    try:
        server.start()
        pid = server.ask("/where").json["pid"]
        start.rmdir()
        os.kill(pid, signal.SIGKILL)
        seen = until(lambda: (answer := server.ask("/where")).status == 200 and answer.json, "another worker answers")
        assert (seen["pid"] != pid, seen["cwd"]) == (True, "/")
        assert server.tell("reload").returncode == 0
        assert server.ask("/where").json["cwd"] == "/"
        assert "is gone: process group 'default' works in / instead" in server.console()
        assert server.stop() == 0
    finally:
        server.kill()
    server.clean()
