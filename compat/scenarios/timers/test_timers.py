"""request-timeout and its interruption, maximum-requests, restart-interval, inactivity-timeout, eviction."""

from __future__ import annotations

import os
import signal

import client
import pytest
from harness import Server, until


def pid_of(server: Server, group: str) -> int:
    return int(until(lambda: (answer := server.ask(f"/{group}/where")).status == 200 and answer.json["pid"], "a process answers"))


@pytest.mark.of_daemon_mode("the connection ends with the process that serves it")
def test_a_request_that_takes_too_long_costs_the_process(server: Server) -> None:
    pid = pid_of(server, "timed")
    server.mark_log()
    answer = server.ask("/timed/sleep?seconds=20")
    assert answer.status in (502, 504)
    assert pid_of(server, "timed") != pid
    server.wait_log(r"probes\.py.*sleep|in sleep|sleep")


@pytest.mark.group("roomy")
def test_a_request_that_ends_before_its_process_is_answered_whole(server: Server) -> None:
    """Reported: after request-timeout it was answered with a head and no body, where another thread was idle."""
    pid = pid_of(server, "roomy")
    answer = server.ask("/roomy/sleep?seconds=2.8")
    assert (answer.status, answer.body) == (200, b"slept")
    until(lambda: pid_of(server, "roomy") != pid, "another process answers")


@pytest.mark.group("interrupted")
def test_an_interruptible_request_is_ended_and_the_process_lives(server: Server) -> None:
    """Reported: the log had a traceback, as if the application had failed."""
    pid = pid_of(server, "interrupted")
    server.mark_log()
    answer = server.ask("/interrupted/spin?seconds=20")
    assert answer.status == 504
    server.wait_log(r"\[wsgi:info\][^\n]*interrupted by RequestTimeout")
    assert "Traceback" not in server.log()[server.read_from :]
    assert pid_of(server, "interrupted") == pid


@pytest.mark.of_daemon_mode("the connection ends with the process that serves it")
def test_an_uninterruptible_request_costs_the_process(server: Server) -> None:
    pid = pid_of(server, "interrupted")
    assert server.ask("/interrupted/sleep?seconds=20").status in (502, 504)
    assert pid_of(server, "interrupted") != pid


def test_a_request_in_time_is_left_alone(server: Server) -> None:
    assert server.ask("/timed/sleep?seconds=0.3").body == b"slept"


@pytest.mark.group("counted")
def test_maximum_requests(server: Server) -> None:
    """Every request is answered, by one process after the other; a draining one may still serve some, more on a busy machine."""
    served: set[int] = set()

    def four() -> bool:
        answer = server.ask("/counted/where")
        assert answer.status == 200
        served.add(answer.json["pid"])
        return len(served) >= 4

    until(four, "four processes have answered", 30)


@pytest.mark.group("aged")
def test_restart_interval(server: Server) -> None:
    pid = pid_of(server, "aged")
    until(lambda: pid_of(server, "aged") != pid, "another process answers")


@pytest.mark.group("idle")
def test_inactivity_timeout(server: Server) -> None:
    pid = pid_of(server, "idle")
    until(lambda: not os.path.exists(f"/proc/{pid}"), "the idle process has ended")
    assert pid_of(server, "idle") != pid


@pytest.mark.group("evicted")
def test_usr1_lets_a_request_end(server: Server) -> None:
    pid = pid_of(server, "evicted")
    with server.connect() as connection:
        connection.send(client.message("GET", "/evicted/generator?n=1"))
        assert connection.response().status == 200
        connection.send(client.message("GET", "/evicted/sleep?seconds=1.5&tell=begun-before-usr1"))
        server.wait_log("begun-before-usr1")
        os.kill(pid, signal.SIGUSR1)
        assert connection.response().body == b"slept"
    assert until(lambda: (found := pid_of(server, "evicted")) != pid and found, "another process answers")


def signalled(server: Server, target: str = "") -> dict:
    return until(lambda: (answer := server.ask(f"/signalled{target}")).status == 200 and answer.json, "a process answers")


@pytest.mark.group("signalled")
@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR2])
def test_the_application_is_told_of_signals_that_are_its_own(server: Server, number: signal.Signals) -> None:
    pid = signalled(server)["pid"]
    os.kill(pid, number)
    told = ["process_signal", number.name, int(number)]
    seen = until(lambda: told in (seen := signalled(server))["told"] and seen, "the subscriber was told")
    assert seen["pid"] == pid


@pytest.mark.group("signalled")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_request_ends_before_its_process_does(server: Server, number: signal.Signals) -> None:
    pid = signalled(server)["pid"]
    with server.connect() as connection:
        connection.send(client.message("GET", f"/signalled/probes/sleep?seconds=1.5&tell=begun-before-{number.name}"))
        server.wait_log(f"begun-before-{number.name}")
        os.kill(pid, number)
        assert connection.response().body == b"slept"
    until(lambda: signalled(server)["pid"] != pid, "another process answers")


@pytest.mark.group("signalled")
def test_an_application_may_end_its_own_process(server: Server) -> None:
    """The recipe of mod_wsgi's documentation for reloading when any source file changes."""
    pid = signalled(server, "/end")["pid"]
    until(lambda: signalled(server)["pid"] != pid, "another process answers")
