"""What the client and the log get for scripts that do not load."""

from __future__ import annotations

import re

import pytest
from differs import differs
from harness import Server, Unusable, until

BROKEN = {
    "/syntax": ("WSGI0105", "SyntaxError"),
    "/import": ("WSGI0109", "ModuleNotFoundError: No module named 'a_module_nobody_has'"),
    "/exit": ("WSGI0107", ""),
    "/second": ("WSGI0109", "not ready yet"),
    "/not-callable": ("WSGI0174", "not callable"),
    "/wrong-signature": ("WSGI0174", "positional argument"),
    "/preload-fails": ("WSGI0109", "preload_fails.py failed"),
}


@pytest.mark.parametrize("target", BROKEN)
def test_is_a_500_with_a_traceback_in_the_log(server: Server, target: str) -> None:
    code, words = BROKEN[target]
    server.mark_log()
    answer = server.ask(target)
    assert answer.status == 500 and answer.complete
    assert b"Traceback" not in answer.body and b"as it was told to" not in answer.body
    server.wait_log(code)
    server.wait_log(words)


def test_a_failed_import_is_tried_again_with_each_request(server: Server) -> None:
    assert server.ask("/second").status == 500
    (server.root / "app" / "ready").touch()
    assert server.ask("/second").body == b"ready"


def test_each_load_is_a_line_of_level_info(server: Server) -> None:
    """Reported: the log did not tell when code was loaded."""
    server.ask("/class")
    server.ask("/probes/single")
    for name in ("a_class", "probes", "preload_fails"):
        pattern = rf"\[wsgi:info\][^\n]*Loading WSGI script '[^']*/{name}\.py' into main interpreter of [^\n]* 'main'"
        assert re.search(pattern, server.log()), name


def test_a_traceback_has_its_code_once(server: Server) -> None:
    """Reported: each line of a traceback began with the code of its message again."""
    server.mark_log()
    assert server.ask("/import").status == 500
    server.wait_log("ModuleNotFoundError")
    lines = [line for line in server.log()[server.read_from :].splitlines() if "[wsgi:error]" in line]
    assert sum("WSGI0174" in line for line in lines) == 1
    assert any("Traceback" in line for line in lines)
    assert all(line.count("[wsgi:error]") == 1 for line in lines)


def test_a_class_is_an_application(server: Server) -> None:
    assert server.ask("/class").body == b"from a class"


def test_a_failed_preload_is_logged_at_the_start(server: Server) -> None:
    until(lambda: "WSGI0110" in server.log() or "WSGI0109" in server.log(), "the code of a failed import")
    until(lambda: "preload_fails.py failed, as it was told to" in server.log(), "its traceback")


def test_a_start_without_its_applications(own_server: Server) -> None:
    own_server.stop()
    own_server.keep_trying = False
    expected = differs("Scripts that cannot be imported at the start", ours=3, mod_wsgi=None)
    try:
        own_server.start()
    except Unusable:
        assert expected is not None
    assert own_server.process is not None
    if expected is None:
        assert own_server.process.poll() is None
        return
    assert own_server.process.wait(20) == expected
    assert "SyntaxError" in own_server.console() and "--keep-trying" in own_server.console()
    own_server.keep_trying = True
    own_server.start()


def test_the_others_are_served(server: Server) -> None:
    pids = set()
    for target in BROKEN:
        server.ask(target)
        pids.add(server.ask("/probes/where").json["pid"])
    assert len(pids) == 1
