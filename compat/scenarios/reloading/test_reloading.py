"""A changed script is noticed by its modification time, older or newer, and never costs a request."""

from __future__ import annotations

import os
import re
import signal

from harness import Server, until


def says(server: Server, target: str) -> tuple[str, int]:
    answer = server.ask(target)
    assert answer.status == 200, answer.body
    version, _, pid = answer.body.decode().partition("|")
    return version, int(pid)


def change(server: Server, version: str, seconds: int) -> None:
    """Writes another version of the script, with a modification time `seconds` from the one it had."""
    script = server.root / "app" / "changing.py"
    before = script.stat().st_mtime_ns
    changed = server.root / "app" / "changing.new"
    changed.write_text(re.sub('VERSION = ".*"', f'VERSION = "{version}"', script.read_text()))
    os.utime(changed, ns=(before, before + seconds * 10**9))
    changed.replace(script)


def test_a_newer_script_is_loaded_in_a_new_process(own_server: Server) -> None:
    version, pid = says(own_server, "/reloads")
    change(own_server, "two", 5)
    seen = until(lambda: (found := says(own_server, "/reloads"))[0] == "two" and found, "the new version answers")
    assert version == "one" and seen[1] != pid


def test_an_older_script_counts_too(own_server: Server) -> None:
    assert says(own_server, "/reloads")[0] == "one"
    change(own_server, "older", -5000)
    until(lambda: says(own_server, "/reloads")[0] == "older", "the other version answers")


def test_off_means_off(own_server: Server) -> None:
    before = says(own_server, "/keeps")
    says(own_server, "/reloads")
    change(own_server, "two", 5)
    until(lambda: says(own_server, "/reloads")[0] == "two", "the new version answers beside it")
    assert says(own_server, "/keeps") == before


def test_a_request_with_a_body_survives_the_change(own_server: Server) -> None:
    assert says(own_server, "/reloads")[0] == "one"
    change(own_server, "two", 5)
    answer = own_server.ask("/reloads", "POST", body=b"x" * 100_000)
    assert answer.status == 200
    until(lambda: says(own_server, "/reloads")[0] == "two", "the new version answers")


def test_usr1_replaces_the_process(own_server: Server) -> None:
    _, pid = says(own_server, "/keeps")
    os.kill(pid, signal.SIGUSR1)
    until(lambda: says(own_server, "/keeps")[1] != pid, "another process answers")


def test_term_replaces_the_process(own_server: Server) -> None:
    _, pid = says(own_server, "/keeps")
    os.kill(pid, signal.SIGTERM)
    until(lambda: (answer := own_server.ask("/keeps")).status == 200 and answer.body.decode() != f"one|{pid}", "another process answers")
