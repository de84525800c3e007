"""A changed script is noticed by its modification time, older or newer, and never costs a request."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable

import pytest
from differs import differs
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


def holds(server: Server, condition: Callable[[], bool], what: str) -> None:
    """At once; in embedded mode requests get the old code until a process with the new one has taken over."""
    if server.is_embedded():
        until(condition, what)
    else:
        assert condition(), what


def test_a_newer_script_is_loaded_in_a_new_process(own_server: Server) -> None:
    version, pid = says(own_server, "/reloads")
    change(own_server, "two", 5)
    seen = until(lambda: (found := says(own_server, "/reloads"))[0] == "two" and found, "the new version answers")
    assert version == "one" and seen[1] != pid


def test_the_request_after_a_change_is_answered_by_new_code(own_server: Server) -> None:
    """Reported: it was still answered by the old code."""
    for version, seconds in (("two", 5), ("three", 5), ("older", -5000)):
        says(own_server, "/reloads")
        change(own_server, version, seconds)
        holds(own_server, lambda version=version: says(own_server, "/reloads")[0] == version, "new code answers")


def test_a_touched_script_is_loaded_anew_before_the_next_request(own_server: Server) -> None:
    _, pid = says(own_server, "/reloads")
    own_server.mark_log()
    os.utime(own_server.root / "app" / "changing.py")
    holds(own_server, lambda: says(own_server, "/reloads")[1] != pid, "another process answers")
    own_server.wait_log(r"\[wsgi:info\][^\n]*Loading WSGI script '[^']*changing\.py'")


def hook(server: Server, target: str = "/hooked") -> tuple[int, int]:
    """The process, and how often it was asked."""
    answer = server.ask(target)
    assert answer.status == 200, answer.body
    pid, asked, same = answer.body.decode().split("|")
    assert same == "True", "it is asked with the path of the script, or of the file that it handles"
    return int(pid), int(asked)


def say(server: Server, word: str) -> None:
    folder = server.root / "app"
    # The script removes the file.
    folder.chmod(0o777)
    (folder / "word").write_text(word)


@pytest.mark.of_daemon_mode("it compares two process groups")
def test_a_script_is_asked_before_each_request(own_server: Server) -> None:
    """Reported: `reload_required` was never called."""
    assert [hook(own_server)[1] for _ in range(3)] == [1, 2, 3]
    assert hook(own_server, "/unasked")[1] == 0


@pytest.mark.group("hooked")
def test_a_handler_is_asked_about_the_file(own_server: Server) -> None:
    (own_server.root / "app" / "page.txt").write_text("a page")
    assert [hook(own_server, "/pages/page.txt")[1] for _ in range(2)] == [1, 2]


@pytest.mark.group("hooked")
def test_a_script_that_asks_for_its_reload_is_loaded_before_the_request(own_server: Server) -> None:
    pid, _ = hook(own_server)
    say(own_server, "once")
    holds(own_server, lambda: hook(own_server)[0] != pid, "another process answers")


@pytest.mark.group("hooked")
def test_a_script_that_always_asks(own_server: Server) -> None:
    pid, _ = hook(own_server)
    say(own_server, "always")
    assert own_server.ask("/hooked").status == differs("reload_required that is always true", ours=200, mod_wsgi=503)
    (own_server.root / "app" / "word").unlink()
    holds(own_server, lambda: hook(own_server)[0] != pid, "another process answers")


def test_a_change_that_cannot_be_imported(own_server: Server) -> None:
    assert says(own_server, "/reloads")[0] == "one"
    script = own_server.root / "app" / "changing.py"
    good = script.read_text()
    script.write_text("broken(\n")
    os.utime(script, (1, 1))
    expected = differs("A changed script that cannot be imported", ours=200, mod_wsgi=500)
    assert [own_server.ask("/reloads").status for _ in range(2)] == [expected, expected]
    own_server.wait_log("SyntaxError")
    script.write_text(good.replace("one", "repaired"))
    os.utime(script, (2, 2))
    holds(own_server, lambda: says(own_server, "/reloads")[0] == "repaired", "the repaired script answers")


@pytest.mark.group("hooked")
def test_a_failure_to_ask_is_logged_and_means_no(own_server: Server) -> None:
    pid, _ = hook(own_server)
    own_server.mark_log()
    say(own_server, "raise")
    assert hook(own_server)[0] == pid
    own_server.wait_log("WSGI0174")
    own_server.wait_log("LookupError: reload_required raises, as it was told to")


def test_an_older_script_counts_too(own_server: Server) -> None:
    assert says(own_server, "/reloads")[0] == "one"
    change(own_server, "older", -5000)
    until(lambda: says(own_server, "/reloads")[0] == "older", "the other version answers")


@pytest.mark.of_daemon_mode("it compares two process groups")
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


@pytest.mark.group("keeps")
def test_usr1_replaces_the_process(own_server: Server) -> None:
    _, pid = says(own_server, "/keeps")
    os.kill(pid, signal.SIGUSR1)
    until(lambda: says(own_server, "/keeps")[1] != pid, "another process answers")


@pytest.mark.group("keeps")
def test_term_replaces_the_process(own_server: Server) -> None:
    _, pid = says(own_server, "/keeps")
    os.kill(pid, signal.SIGTERM)
    until(lambda: (answer := own_server.ask("/keeps")).status == 200 and answer.body.decode() != f"one|{pid}", "another process answers")
