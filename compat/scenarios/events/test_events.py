"""Events of a request, their values, and the effect of a subscriber's answer and of its failure."""

from __future__ import annotations

from typing import Any

import pytest
from differs import differs
from harness import UNDER_TEST, Server, until

STARTED = {
    "request_id", "thread_id", "daemon_connects", "daemon_restarts", "server_pid", "request_start", "queue_start", "daemon_start",
    "application_start", "application_object", "callable_object", "request_environ", "request_data",
}  # fmt: skip
FINISHED = {
    "request_id", "thread_id", "server_pid", "request_start", "queue_start", "daemon_start", "input_reads", "input_length", "input_time",
    "output_writes", "output_length", "output_time", "cpu_user_time", "cpu_system_time", "cpu_time", "application_time", "application_finish",
    "status", "request_data", "gil_wait_time", "gil_wait_count",
}  # fmt: skip
STORIES = {
    "/ok": (201, ["request_started", "response_started", "request_finished"]),
    "/raises": (500, ["request_started", "request_exception", "request_finished"]),
    "/iterated": (201, ["request_started", "response_started", "close()", "request_finished"]),
    "/late": (201, ["request_started", "response_started", "request_exception", "close()", "request_finished"]),
    "/none": (500, ["request_started", "request_exception", "request_finished"]),
    "/never": (500, ["request_started", "request_exception", "request_finished"]),
    "/bad-status": (500, ["request_started", "response_started", "request_exception", "request_finished"]),
}


def told(server: Server, path: str) -> list[dict[str, Any]]:
    """Events of the latest request of `path`, from its start to its end."""

    def story() -> list[dict[str, Any]]:
        entries = server.ask("/main/told").json
        begins = [place for place, one in enumerate(entries) if one["path"] == path and one["event"] == "request_started"]
        found = [one for one in entries[begins[-1] :] if one["path"] in (path, None)] if begins else []
        ends = [place for place, one in enumerate(found) if one["event"] == "request_finished"]
        return found[: ends[0] + 1] if ends else []

    return until(story, f"the events of {path}")  # type: ignore[no-any-return]


@pytest.mark.parametrize("path", STORIES)
def test_the_story_of_a_request(server: Server, path: str) -> None:
    status, events = STORIES[path]
    assert server.ask("/main" + path).status == status
    story = told(server, path)
    assert [one["event"] for one in story] == events
    assert story[-1]["values"]["status"] == status
    for entry in story:
        if entry["event"] == "close()":
            continue
        assert entry["same_data"] and entry["active"], entry
        assert entry["second"] == entry["event"], "the second subscriber was called, too"
        assert entry["values"]["request_id"] == story[0]["values"]["request_id"]
    assert story[-1]["data"] == [one["event"] for one in story if one["event"] != "close()"]


def carried(server: Server) -> list[dict[str, Any]]:
    """The values of a request's three events: started, response started, finished."""
    assert server.ask("/main/ok", "POST", body=b"abcdefgh").body == b"got 8"
    return [one["values"] for one in told(server, "/ok")]


def test_what_the_events_carry(server: Server) -> None:
    """Failed once on mod_wsgi, in a fresh process: `request_finished` came without its three CPU times.

    mod_wsgi 6.1.1 takes a start time of 0.0 for "not measured" (`start_usage.user_time != 0.0` in wsgi_adapter.c), and
    Linux reports 0.0 as user time of a thread that no clock tick has met outside of the kernel yet. So there the request is
    repeated, after requests that spin, until its thread has user time. Ours must have the times in the first one.
    """
    started, response, finished = carried(server)
    if UNDER_TEST == "mod_wsgi" and "cpu_time" not in finished:
        met = lambda: server.ask("/main/spin").status == 201 and "cpu_time" in (seen := carried(server))[-1] and seen  # noqa: E731
        started, response, finished = until(met, "a thread with user time serves the request")
    assert set(started) == STARTED
    assert set(response) == {"request_id", "response_status", "response_headers", "exception_info", "request_data"}
    ours = FINISHED | {"application_start"}
    given = differs("application_start in request_finished", ours=ours, mod_wsgi=FINISHED)
    assert set(finished) == given
    assert 0 <= finished["gil_wait_time"] < 30 and type(finished["gil_wait_time"]) is float
    assert finished["gil_wait_count"] >= 0 and type(finished["gil_wait_count"]) is int
    assert (started["callable_object"], started["application_object"]) == ("application", {"callable": "application"})
    assert (started["daemon_connects"], started["daemon_restarts"]) == (1, 0)
    assert "wsgi.input" in started["request_environ"]["dict"]
    assert (response["response_status"], response["exception_info"]) == ("201 Made", None)
    assert response["response_headers"] == [["X-One", "1"], ["X-Wrapped", "no"]]
    assert (finished["input_length"], finished["output_length"], finished["output_writes"]) == (8, 5, 2)
    times = [started[key] for key in ("request_start", "queue_start", "daemon_start", "application_start")]
    assert times == sorted(times) and times[-1] <= finished["application_finish"]
    assert 0 <= finished["application_time"] < 30 and 0 <= finished["cpu_time"] < 30


def test_a_subscriber_wraps_the_application(server: Server) -> None:
    assert server.ask("/main/wrapped").get("X-Wrapped") == "yes"
    assert server.ask("/main/ok").get("X-Wrapped") == "no"


@pytest.mark.parametrize(("path", "code"), [("/fails", "WSGI0112"), ("/exits", "WSGI0190")])
def test_a_subscriber_that_fails_is_only_logged(server: Server, path: str, code: str) -> None:
    server.mark_log()
    assert server.ask("/main" + path).status == 201
    server.wait_log(code)
    assert all(one["second"] for one in told(server, path))


def test_request_data(server: Server) -> None:
    seen = server.ask("/main/data").json
    assert "mine" in seen["data"] and seen["active"] and seen["same"]
    assert (seen["outside"], seen["callbacks"]) == ("RuntimeError", [2, 1, 0])


def test_without_subscribers(server: Server) -> None:
    assert server.ask("/quiet/first").body == b"True"
    assert server.ask("/quiet/").body == b"({}, True, 1)"


def test_the_end_is_told_in_each_interpreter(own_server: Server) -> None:
    assert own_server.ask("/main/ok").status == 201
    assert own_server.ask("/named/ok").status == 201
    own_server.stop()
    log = own_server.log()
    for name in differs("process_stopping in every interpreter", ours=["", "named"], mod_wsgi=["named"]):
        line = f"at the end: process_stopping [('shutdown_reason', 'shutdown_signal')] in '{name}'"
        assert log.count(line) == 1, name
