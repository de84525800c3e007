"""Interpreters with a GIL of their own, and several of them behind one application group."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import harness
import pytest
from harness import APPS, until
from parallel import assert_side_by_side
from running import Gilkeeper

Start = Callable[..., Gilkeeper]
FILES = [APPS / "modes.py"]

GROUPS = """
WSGIDaemonProcess one threads=4 switch-interval=0.002
WSGIDaemonProcess several threads=4 interpreters=2 switch-interval=0.003
<WSGIInterpreterOptions process-group=one>
    WSGIPerInterpreterGIL On
</WSGIInterpreterOptions>
<WSGIInterpreterOptions process-group=one application-group=quick>
    WSGISwitchInterval 0.001
</WSGIInterpreterOptions>
<WSGIInterpreterOptions process-group=one application-group=plain>
    WSGIPerInterpreterGIL Off
</WSGIInterpreterOptions>
SetEnv interpreter from-the-environment
WSGIScriptAlias /main ${APP}/modes.py process-group=one application-group=%{GLOBAL}
WSGIScriptAlias /quick ${APP}/modes.py process-group=one application-group=quick
WSGIScriptAlias /plain ${APP}/modes.py process-group=one application-group=plain
WSGIScriptAlias /named ${APP}/modes.py process-group=one application-group=%{ENV:interpreter}
WSGIScriptAlias /several ${APP}/modes.py process-group=several application-group=many
WSGIScriptAlias /site ${APP}/modes.py
<Location /site>
    WSGIProcessGroup one
    WSGIApplicationGroup %{GLOBAL}
</Location>
<Location /site/suburl>
    WSGIApplicationGroup sub-interp-1
</Location>
"""

# GIL mode, switch interval in seconds, process group, application group.
TOLD = {
    "/main": ("shared", 0.002, "one", ""),
    "/quick": ("own", 0.001, "one", "quick"),
    "/plain": ("shared", 0.002, "one", "plain"),
    "/named": ("own", 0.005, "one", "from-the-environment"),
    "/several": ("own", 0.003, "several", "many"),
    "/site": ("shared", 0.002, "one", ""),
    "/site/suburl": ("own", 0.005, "one", "sub-interp-1"),
}


@pytest.mark.of_daemon_mode("its site has two process groups, and embedded mode has one")
def test_each_response_tells_mode_interval_and_groups(gilkeeper: Start) -> None:
    server = gilkeeper(FILES, GROUPS)
    for target, told in TOLD.items():
        seen = server.ask(target).json
        given = (seen["gil_mode"], seen["switch_interval"], seen["process_group"], seen["application_group"])
        assert given == (told[0], pytest.approx(told[1]), *told[2:]), target
        assert seen["environ"] == list(told[2:])
    # Interpreters of their own: /main and /site share one, all others are different.
    assert len({server.ask(target).json["interpreter"] for target in TOLD if target != "/several"}) == len(TOLD) - 2
    expected = {
        ("", "shared", 0.002),
        ("quick", "own", 0.001),
        ("plain", "shared", 0.002),
        ("from-the-environment", "own", 0.005),
        ("sub-interp-1", "own", 0.005),
    }
    shown: set[tuple[Any, ...]] = set()

    def whole() -> bool:
        # A worker that is slow to tell its figures is shown without them.
        nonlocal workers, shown
        workers = {one["process_group"]: one for one in server.status()["workers"]}
        shown = {(i["application_group"], i["gil_mode"], round(i["switch_interval"], 6)) for i in workers["one"]["interpreters"]}
        return len(shown) == len(expected) and bool(workers["several"]["interpreters"])

    workers: dict[str, Any] = {}
    until(whole, "the status has every interpreter")
    assert shown == expected
    several = [i for i in workers["several"]["interpreters"] if i["application_group"] == "many"]
    assert len(several) == 2 and all(i["memory"] > 500_000 for i in several), several
    assert workers["one"]["gil_mode"] == workers["several"]["gil_mode"] == "own"
    assert "5.000 ms" in server.tell("status").stdout


@pytest.mark.of_daemon_mode("its site has two process groups, and embedded mode has one")
def test_the_interval_in_the_status_is_the_interpreters_own(gilkeeper: Start) -> None:
    server = gilkeeper(FILES, GROUPS)
    server.ask("/quick?interval=0.25")


    def told() -> float:
        interpreters = server.status()["workers"][0]["interpreters"]
        return {i["application_group"]: i["switch_interval"] for i in interpreters}.get("quick", 0.0)

    until(lambda: told() == pytest.approx(0.25), "the status has the interval that the application set")
    assert server.ask("/quick").json["switch_interval"] == pytest.approx(0.25)
    assert server.ask("/main").json["switch_interval"] == pytest.approx(0.002)


@pytest.mark.of_daemon_mode("its site has two process groups, and embedded mode has one")
def test_requests_in_different_gils_run_side_by_side(gilkeeper: Start) -> None:
    server = gilkeeper(FILES, GROUPS)
    for target in TOLD:
        server.ask(target)
    assert_side_by_side(server, ("/quick", "/named"), unlike=("/main", "/main"))
    assert_side_by_side(server, ("/quick", "/main"), unlike=("/main", "/plain"))
    assert_side_by_side(server, ("/several", "/several"), unlike=("/quick", "/quick"))


def test_interpreters_on_the_command_line(gilkeeper: Start) -> None:
    server = gilkeeper(FILES, arguments=["{app}/modes.py", "--threads", "4", "--interpreters", "3"])
    seen: list[Any] = []

    def all_three() -> bool:
        with ThreadPoolExecutor(3) as at_once:
            seen.extend(one.json for one in at_once.map(server.ask, ["/?burn=0.3"] * 3))
        return len({one["interpreter"] for one in seen}) == 3

    until(all_three, "requests at once are served by three interpreters", 30)
    assert {one["gil_mode"] for one in seen} == {"own"}
    assert len({one["pid"] for one in seen}) == 1


@pytest.mark.of_daemon_mode("its site has two process groups, and embedded mode has one")
def test_requests_are_served_by_all_interpreters_under_load(gilkeeper: Start) -> None:
    """Many short ones from many connections: every interpreter ends with none busy, and the server ends cleanly."""
    server = gilkeeper(FILES, GROUPS)
    with ThreadPoolExecutor(16) as many:
        answers = list(many.map(server.ask, ["/several?burn=0.002", "/quick", "/main", "/named"] * 100))
    assert all(answer.status == 200 for answer in answers)
    assert len({answer.json["interpreter"] for answer in answers[::4]}) == 2

    def idle() -> bool:
        workers = server.status()["workers"]
        return all(w["state"] == "ready" and w["interpreters"] and all(i["busy"] == 0 for i in w["interpreters"]) for w in workers)

    until(idle, "no interpreter is busy")


SKIPPED = """
WSGIDaemonProcess one processes=3
<WSGIInterpreterOptions application-group=some>
    WSGISwitchInterval 0.001
</WSGIInterpreterOptions>
WSGIScriptAlias / ${APP}/modes.py process-group=one application-group=some
"""


def test_what_is_skipped_is_said_once_in_the_log_and_by_check(gilkeeper: Start) -> None:
    server = gilkeeper(FILES, SKIPPED)
    server.wait_workers(3)
    assert server.ask("/").json["switch_interval"] == pytest.approx(0.005)
    server.wait_log("WSGI0199")
    assert server.log().count("WSGI0199") == 1
    told = subprocess.run(
        [harness.gilkeeper(), "check", "-c", str(server.root / "server.conf"), "--format", "json"],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert told.stdout.count("WSGI0199") == 1, told.stdout
