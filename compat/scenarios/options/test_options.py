"""Limits, and the directives that change one thing each."""

from __future__ import annotations

import contextlib
import os
import signal
import time

import client
import pytest
from differs import differs
from harness import Server


def test_a_body_past_the_limit(server: Server) -> None:
    assert server.ask("/probes/echo", "POST", body=b"x" * 1000).status == 200
    assert server.ask("/probes/echo", "POST", body=b"x" * 1001).status == 413


def test_a_chunked_body_past_the_limit(server: Server) -> None:
    def chunks(size: int) -> client.Response:
        return server.ask("/chunked/echo", "POST", headers={"Transfer-Encoding": "chunked"}, body=client.chunked(b"x" * size))

    assert chunks(1000).status == 200
    assert chunks(1001).status == 413


def chunked_post(server: Server, target: str) -> int:
    return server.ask(target, "POST", headers={"Transfer-Encoding": "chunked"}, body=client.chunked(b"abc")).status


def test_a_chunked_body_where_it_is_not_allowed(server: Server) -> None:
    server.mark_log()
    assert chunked_post(server, "/unchunked/echo") == 411
    server.wait_log("WSGI0139")


def test_a_chunked_body_where_nothing_is_said(server: Server) -> None:
    assert chunked_post(server, "/probes/echo") == differs("Chunked bodies without a directive", ours=200, mod_wsgi=411)


@pytest.mark.parametrize(("mount", "seen"), [("/probes", "HEAD"), ("/as-get", "GET")])
def test_head_is_shown_as_get_where_asked_for(server: Server, mount: str, seen: str) -> None:
    with server.connect() as connection:
        connection.send(client.message("HEAD", f"{mount}/method") + client.message("GET", "/probes/single"))
        answer = connection.response("HEAD")
        assert (answer.status, answer.get("X-Method"), answer.get("Content-Length")) == (200, seen, "6")
        assert connection.response().body == b"exactly one block"


def test_the_request_line(server: Server) -> None:
    assert server.ask("/probes/single?" + "q" * 400).status == 200
    assert server.ask("/probes/single?" + "q" * 600).status == 414


def test_the_number_of_fields(server: Server) -> None:
    assert server.ask("/probes/single", headers=[(f"X-{number}", "1") for number in range(17)]).status == 200
    answer = server.ask("/probes/single", headers=[(f"X-{number}", "1") for number in range(30)])
    assert answer.status == differs("Status for header limits", ours=431, mod_wsgi=400)


def test_the_size_of_a_field(server: Server) -> None:
    assert server.ask("/probes/single", headers={"X-Long": "v" * 300}).status == 200
    answer = server.ask("/probes/single", headers={"X-Long": "v" * 500})
    assert answer.status == differs("Status for header limits", ours=431, mod_wsgi=400)


def test_an_idle_connection_is_closed(server: Server) -> None:
    with server.connect() as connection:
        connection.send(client.message("GET", "/probes/single"))
        assert connection.response().status == 200
        begun = time.monotonic()
        assert connection.closed_by_server()
        assert 0.5 < time.monotonic() - begun


def test_a_connection_serves_only_so_many(server: Server) -> None:
    with server.connect() as connection:
        for _ in range(4):
            connection.send(client.message("GET", "/probes/single"))
            answer = connection.response()
            assert answer.status == 200
            if (answer.get("Connection") or "").lower() == "close":
                break
        assert (answer.get("Connection") or "").lower() == "close"
        assert connection.closed_by_server()


def test_authorization(server: Server) -> None:
    headers = {"Authorization": "Bearer x"}
    assert "HTTP_AUTHORIZATION" not in server.ask("/probes/environ", headers=headers).json["values"]
    assert server.ask("/with-authorization/environ", headers=headers).json["values"]["HTTP_AUTHORIZATION"] == "Bearer x"


@pytest.mark.parametrize(("line", "own"), [("200%20OK", True), ("404%20Missing", False), ("503%20Later", False), ("302%20Found", True)])
def test_error_override(server: Server, line: str, own: bool) -> None:
    answer = server.ask(f"/overridden/status?line={line}&body=from-the-application")
    assert answer.status == int(line[:3])
    assert (b"from-the-application" in answer.body) is own


@pytest.mark.group("narrow")
def test_a_request_that_waited_too_long(server: Server) -> None:
    with server.connect() as first, server.connect() as second:
        first.send(client.message("GET", "/narrow/sleep?seconds=2.5&tell=the-first-has-begun"))
        server.wait_log("the-first-has-begun")
        if not server.is_embedded():
            # Requests of another process group do not wait.
            assert server.ask("/probes/single").status == 200
        second.send(client.message("GET", "/narrow/single"))
        assert first.response().body == b"slept"
        answer = second.response()
        assert answer.status == differs("queue-timeout", ours=503, mod_wsgi=504)
        assert (answer.get("Retry-After") is not None) is differs("queue-timeout", ours=True, mod_wsgi=False)


@pytest.mark.group("patient")
def test_a_client_that_does_not_read_holds_the_thread(server: Server) -> None:
    with server.connect() as slow:
        slow.send(client.message("GET", "/patient/large?size=30000000"))
        assert slow.head().status == 200
        try:
            status = server.ask("/patient/single", timeout=differs("response-buffer-size", ours=20, mod_wsgi=3)).status
        except TimeoutError:
            status = None
        assert status == differs("response-buffer-size", ours=200, mod_wsgi=None)


@pytest.mark.of_daemon_mode("the connection ends with the process that serves it")
def test_a_process_that_dies_before_it_answers(server: Server) -> None:
    pid = server.ask("/patient/where").json["pid"]
    with server.connect() as connection:
        connection.send(client.message("GET", "/patient/sleep?seconds=1&tell=it-is-about-to-die"))
        server.wait_log("it-is-about-to-die")
        os.kill(pid, signal.SIGKILL)
        assert connection.response().status == differs("retry", ours=200, mod_wsgi=502)


@pytest.mark.group("crowded")
def test_behind_the_backlog_a_request_waits_for_connect_timeout(server: Server) -> None:
    with contextlib.ExitStack() as stack:
        first, *others = [stack.enter_context(server.connect()) for _ in range(6)]
        first.send(client.message("GET", "/crowded/sleep?seconds=4&tell=the-place-is-taken"))
        server.wait_log("the-place-is-taken")
        for connection in others:
            connection.send(client.message("GET", "/crowded/single"))
        # Apache's socket has a place or two; whoever finds none is refused while the thread is still busy.
        answers = [connection.response() for connection in others]
        assert {answer.status for answer in answers} == {200, 503}
        assert first.response().body == b"slept"


def test_python_options(server: Server) -> None:
    seen = server.ask("/probes/where").json
    assert (seen["optimize"], seen["dont_write_bytecode"]) == (1, True)


def test_signal_handlers_are_not_installed(server: Server) -> None:
    assert server.ask("/signals").body == b"True"


def test_denied(server: Server) -> None:
    assert server.ask("/denied/single").status == 403


@pytest.mark.parametrize("mount", ["/by-a-variable", "/included"])
def test_the_language(server: Server, mount: str) -> None:
    assert server.ask(f"{mount}/single").body == b"exactly one block"


def test_a_long_response_header(server: Server) -> None:
    assert len(server.ask("/folder?30000").get("X-Long") or "") == 30_000
    server.mark_log()
    assert server.ask("/folder?40000").status == 500
    server.wait_log("WSGI0144")


@pytest.mark.group("wide")
def test_a_response_header_as_long_as_the_group_allows(server: Server) -> None:
    assert len(server.ask("/wide?60000").get("X-Long") or "") == 60_000


def test_files_beside_the_script_that_change_settings(server: Server) -> None:
    assert server.ask("/folder").body == differs(".htaccess files", ours=b"unset", mod_wsgi=b"yes")
