"""What the client and the log get when the application fails, and that close() runs exactly once."""

from __future__ import annotations

import client
import pytest
from differs import differs
from harness import Server, until


@pytest.mark.parametrize("probe", ["/raise", "/raise-after-start", "/raise-in-body?after=0"])
def test_before_the_first_byte_it_is_a_500(server: Server, probe: str) -> None:
    server.mark_log()
    answer = server.ask(probe)
    assert answer.status == 500 and answer.complete
    assert answer.get("X-Mine") is None
    assert b"as it was told to" not in answer.body
    server.wait_log("RuntimeError: .* as it was told to")
    server.wait_log("Traceback")


def test_the_log_names_the_script_and_a_code(server: Server) -> None:
    server.mark_log()
    server.ask("/raise")
    server.wait_log(r"WSGI0174.*probes\.py")


def test_system_exit_is_an_exception_like_others(server: Server) -> None:
    before = server.ask("/where").json["pid"]
    server.mark_log()
    assert server.ask("/exit").status == 500
    server.wait_log("WSGI0175|SystemExit")
    assert server.ask("/where").json["pid"] == before


def test_in_a_chunked_body_it_never_looks_whole(server: Server) -> None:
    server.mark_log()
    answer = server.ask("/raise-in-body?after=2")
    assert answer.status == 200 and answer.body == b"0123456789" * 2
    assert answer.complete is differs("A failure after the response has begun", ours=False, mod_wsgi=True)
    server.wait_log("RuntimeError: the iterator failed")


def test_in_a_body_with_a_length_it_never_looks_whole(server: Server) -> None:
    answer = server.ask("/raise-in-body?after=2&length=100")
    assert (answer.body, answer.complete) == (b"0123456789" * 2, False)


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("plain", "/counted?key=plain"),
        ("no-blocks", "/counted?key=no-blocks&n=0"),
        ("fails-first", "/counted?key=fails-first&fail=0"),
        ("fails-later", "/counted?key=fails-later&fail=1"),
        ("not-bytes", "/counted?key=not-bytes&how=str"),
        ("close-fails", "/counted?key=close-fails&how=close"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_close_is_called_once(server: Server, name: str, target: str, method: str) -> None:
    target = target.replace(f"key={name}", f"key={name}-{method}")
    server.ask(target, method)
    assert until(lambda: server.ask(f"/closed?key={name}-{method}").json, "close() has been called") == 1


def test_close_that_fails_does_not_spoil_the_response(server: Server) -> None:
    server.mark_log()
    answer = server.ask("/counted?key=spoil&how=close")
    assert (answer.status, answer.body) == (200, b"block\nblock\n")
    server.wait_log(r"close\(\) failed, as it was told to")


def test_close_is_called_when_the_client_goes_away(server: Server) -> None:
    with server.connect() as connection:
        connection.send(client.message("GET", "/counted?key=gone&n=100000&how=slow"))
        connection.exactly(100)
        connection.reset()
    assert until(lambda: server.ask("/closed?key=gone").json, "close() has been called", 30) == 1


def test_errors_stdout_and_stderr_reach_the_log(server: Server) -> None:
    server.mark_log()
    assert server.ask("/errors?text=caf%C3%A9%20here").body == b"logged"
    for name in ("errors", "writelines", "stdout", "stderr"):
        server.wait_log(rf"\[wsgi:error\].*{name}: .*here")


def test_a_process_that_dies_is_a_502_and_comes_back(server: Server) -> None:
    before = server.ask("/where").json["pid"]
    if server.is_embedded():
        # Its connections end with it, as those of a child of Apache do.
        with pytest.raises((client.Broken, ConnectionResetError)):
            server.ask("/die")
    else:
        assert server.ask("/die").status == 502
    after = until(lambda: (answer := server.ask("/where")).status == 200 and answer.json["pid"], "a new process answers")
    assert after != before


def test_a_process_that_dies_in_the_body_never_looks_whole(server: Server) -> None:
    answer = server.ask("/die?after=0.5")
    assert answer.status == 200
    assert answer.complete is differs("A failure after the response has begun", ours=False, mod_wsgi=True)
    until(lambda: server.ask("/single").status == 200, "a new process answers")
