"""Connections: keep-alive, pipelining, half-closed clients, versions, limits."""

from __future__ import annotations

import client
import pytest
from differs import differs
from harness import Server, until


def test_keep_alive(server: Server) -> None:
    with server.connect() as connection:
        for _ in range(20):
            connection.send(client.message("GET", "/single"))
            assert connection.response().body == b"exactly one block"


def test_pipelined_requests_are_answered_in_order(server: Server) -> None:
    targets = [f"/status?line=2{number:02}%20X&body=number{number}" for number in range(10, 40)]
    with server.connect() as connection:
        connection.send(b"".join(client.message("GET", target) for target in targets))
        seen = [connection.response().body.decode() for _ in targets]
    assert seen == [f"number{number}" for number in range(10, 40)]


def test_pipelined_slow_then_fast(server: Server) -> None:
    with server.connect() as connection:
        connection.send(client.message("GET", "/sleep?seconds=0.2") + client.message("GET", "/single"))
        assert [connection.response().body, connection.response().body] == [b"slept", b"exactly one block"]


def test_close_is_honoured(server: Server) -> None:
    with server.connect() as connection:
        connection.send(client.message("GET", "/single", {"Connection": "close"}))
        answer = connection.response()
        assert (answer.get("Connection") or "").lower() == "close"
        assert connection.closed_by_server()


def test_http_1_0_closes(server: Server) -> None:
    with server.connect() as connection:
        connection.send(b"GET /single HTTP/1.0\r\n\r\n")
        assert connection.response().body == b"exactly one block"
        assert connection.closed_by_server()


def test_http_1_0_keep_alive(server: Server) -> None:
    with server.connect() as connection:
        for _ in range(2):
            connection.send(b"GET /large?size=100 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            answer = connection.response()
            assert (len(answer.body), (answer.get("Connection") or "").lower()) == (100, "keep-alive")


def test_a_client_that_half_closes_is_answered(server: Server) -> None:
    with server.connect() as connection:
        connection.send(client.message("GET", "/sleep?seconds=0.2"))
        connection.half_close()
        assert connection.response().body == b"slept"


def test_a_request_in_single_bytes(server: Server) -> None:
    with server.connect() as connection:
        for byte in client.message("POST", "/echo", body=b"abc"):
            connection.send(bytes([byte]))
        assert connection.response().body == b"abc"


def test_empty_lines_before_a_request(server: Server) -> None:
    with server.connect() as connection:
        connection.send(b"\r\n" + client.message("GET", "/single"))
        assert connection.response().status == 200


def test_header_names_in_any_case(server: Server) -> None:
    with server.connect() as connection:
        connection.send(b"POST /echo HTTP/1.1\r\nhOST: localhost\r\nCONTENT-length: 3\r\nconnection: CLOSE\r\n\r\nabc")
        assert connection.response().body == b"abc"
        assert connection.closed_by_server()


def test_unknown_expectation(server: Server) -> None:
    answer = server.ask("/echo", "POST", headers={"Expect": "the-impossible"}, body=b"abc")
    assert answer.status == 417


def test_a_long_request_line(server: Server) -> None:
    assert server.ask("/single?" + "q" * 8000).status == 200
    assert server.ask("/single?" + "q" * 9000).status == 414


def test_a_header_field_that_is_too_long(server: Server) -> None:
    answer = server.ask("/single", headers={"X-Long": "v" * 9000})
    assert answer.status == differs("Status for header limits", ours=431, mod_wsgi=400)


def test_too_many_header_fields(server: Server) -> None:
    answer = server.ask("/single", headers=[(f"X-{number}", "1") for number in range(150)])
    assert answer.status == differs("Status for header limits", ours=431, mod_wsgi=400)


@pytest.mark.parametrize("version", ["HTTP/1.2", "HTTP/2.0", "HTTP/0.9", "http/1.1", "HTTP/11", "HTPP/1.1"])
def test_versions(server: Server, version: str) -> None:
    """Never answered by the application under a version that is not spoken."""
    seen = client.statuses(server.raw(f"GET /single {version}\r\nHost: x\r\nConnection: close\r\n\r\n".encode()))
    if version == "HTTP/1.2":
        assert seen in ([200], [400], [505])
    elif version == "HTTP/2.0":
        assert (seen == [200]) is differs("HTTP versions that are not spoken", ours=False, mod_wsgi=True)
    else:
        assert seen in ([], [400], [505]), seen


def test_an_empty_host(server: Server) -> None:
    seen = client.statuses(server.raw(b"GET /single HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n"))
    assert seen == [differs("An empty Host", ours=200, mod_wsgi=400)]


def test_parallel_connections(server: Server) -> None:
    connections = [server.connect() for _ in range(40)]
    for connection in connections:
        connection.send(client.message("GET", "/sleep?seconds=0.01"))
    assert {connection.response().body for connection in connections} == {b"slept"}
    for connection in connections:
        connection.close()


def test_the_access_log_has_every_request(server: Server) -> None:
    for _ in range(3):
        server.ask("/single?logged")

    def logged() -> list[str]:
        return [line for line in server.access() if "logged" in line]

    # Lines of requests before these may still be on their way, too.
    until(lambda: len(logged()) >= 3, "three lines")
    assert logged() == ["GET /single?logged 200 17"] * 3
