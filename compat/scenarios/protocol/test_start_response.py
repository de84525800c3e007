"""start_response, write() and exc_info."""

from __future__ import annotations

import pytest
from differs import differs
from harness import Server


@pytest.mark.parametrize(
    ("line", "status", "reason"),
    [
        ("200 OK", 200, "OK"),
        ("201 Created", 201, "Created"),
        ("299 Quite Fine", 299, "Quite Fine"),
        ("404 Nothing Here", 404, "Nothing Here"),
        ("418 I'm a teapot", 418, "I'm a teapot"),
        ("503 Later", 503, "Later"),
    ],
)
def test_status_lines(server: Server, line: str, status: int, reason: str) -> None:
    answer = server.ask("/status?line=" + line.replace(" ", "%20"))
    assert (answer.status, answer.reason, answer.body) == (status, reason, b"body")


def test_a_status_without_a_reason(server: Server) -> None:
    answer = server.ask("/status?line=200")
    assert answer.status == 200 and answer.body == b"body"


KINDS = {
    "status-bytes": "TypeError",
    "status-int": "TypeError",
    "status-letters": "ValueError",
    "status-short": "ValueError",
    "status-newline": "ValueError",
    "headers-tuple": "TypeError",
    "headers-dict": "TypeError",
    "header-list": "TypeError",
    "header-three": "ValueError",
    "name-bytes": "TypeError",
    "name-empty": "ValueError",
    "name-space": "ValueError",
    "name-newline": "ValueError",
    "value-bytes": "TypeError",
    "value-int": "TypeError",
    "value-newline": "ValueError",
    "value-return": "ValueError",
    "value-wide": "ValueError",
}


@pytest.mark.parametrize("call", KINDS)
def test_a_wrong_call_raises_in_the_application(server: Server, call: str) -> None:
    answer = server.ask(f"/bad-start?call={call}")
    assert "X-Evil" not in {name for name, _ in answer.headers}
    assert answer.json == KINDS[call]


def test_a_colon_in_a_header_name(server: Server) -> None:
    seen = server.ask("/bad-start?call=name-colon").json
    assert seen == differs("A colon in a header name", ours="ValueError", mod_wsgi="accepted")


@pytest.mark.parametrize("call", ["status-int", "value-newline", "headers-tuple"])
def test_uncaught_it_is_a_500_with_a_traceback(server: Server, call: str) -> None:
    server.mark_log()
    answer = server.ask(f"/bad-start-uncaught?call={call}")
    assert answer.status == 500 and b"Traceback" not in answer.body
    server.wait_log(r"Traceback \(most recent call last\)")
    server.wait_log("bad_start_uncaught")


def test_headers_go_out_as_given(server: Server) -> None:
    answer = server.ask("/headers")
    assert answer.get("Content-Type") == "text/plain; charset=utf-8"
    assert answer.get("X-Latin") == "caf\xe9"
    assert answer.get("X-Empty") == ""
    assert answer.all("Set-Cookie") == ["a=1", "b=2"]
    assert answer.get("X-Twice") == "one, two"


def test_repeated_headers_are_one(server: Server) -> None:
    answer = server.ask("/repeated")
    assert answer.all("Set-Cookie") == ["one-set-cookie", "two-set-cookie"]
    assert answer.all("WWW-Authenticate") == ["one-www-authenticate", "two-www-authenticate"]
    assert answer.all("X-Twice") == ["one-x-twice, two-x-twice, three"]
    for name in ("Cache-Control", "Link", "ETag", "Content-Language"):
        assert answer.all(name) == [f"one-{name.lower()}, two-{name.lower()}"]
    # Where only one makes sense, the last counts.
    assert answer.all("Content-Type") == ["two-content-type"]
    assert answer.all("Last-Modified") == ["Sun, 06 Nov 1994 08:49:38 GMT"]


def test_a_date_in_the_future(server: Server) -> None:
    date = server.ask("/last-modified").get("Last-Modified")
    as_given = date == "Tue, 01 Jan 2058 00:00:00 GMT"
    assert as_given is differs("Last-Modified in the future", ours=True, mod_wsgi=False), date


@pytest.mark.parametrize("kind", ["list", "str", "number", "false"])
def test_an_exc_info_that_is_no_tuple(server: Server, kind: str) -> None:
    """Reported: it was taken without a word."""
    assert server.ask(f"/bad-exc-info?kind={kind}").body == b"RuntimeError"


@pytest.mark.parametrize("kind", ["two", "none"])
def test_an_exc_info_of_another_length(server: Server, kind: str) -> None:
    seen = server.ask(f"/bad-exc-info?kind={kind}").body
    assert seen == differs("exc_info of another length", ours=b"TypeError", mod_wsgi=b"accepted")


def test_a_second_call_before_output(server: Server) -> None:
    answer = server.ask("/twice")
    assert (answer.status, answer.body) == (201, b"second accepted")
    assert answer.get("X-First") is None and answer.get("X-Second") == "2"


def test_exc_info_before_output_replaces(server: Server) -> None:
    answer = server.ask("/exc-info-before")
    assert (answer.status, answer.reason, answer.body) == (500, "Replaced", b"replaced")
    assert answer.get("X-First") is None and answer.get("X-Second") == "2"


def test_exc_info_after_output_raises_again(server: Server) -> None:
    assert server.ask("/exc-info-after").body.endswith(b"raised again")


def test_a_second_call_after_output(server: Server) -> None:
    answer = server.ask("/second-after-output")
    assert answer.body == b"first, RuntimeError"


def test_start_response_inside_the_iterator(server: Server) -> None:
    answer = server.ask("/late-start")
    assert (answer.body, answer.get("X-Late")) == (b"late", "1")


@pytest.mark.parametrize("probe", ["/no-start", "/no-start-empty"])
def test_never_called(server: Server, probe: str) -> None:
    server.mark_log()
    assert server.ask(probe).status == 500
    server.wait_log("start_response")


def test_write_and_return(server: Server) -> None:
    answer = server.ask("/write")
    assert (answer.status, answer.body, answer.complete) == (200, b"written, written again, returned", True)


def test_write_takes_bytes_only(server: Server) -> None:
    assert server.ask("/write-str").body == b"TypeError"


def test_write_then_raise_never_looks_whole(server: Server) -> None:
    answer = server.ask("/write-then-raise")
    assert answer.status == 200 and answer.body.startswith(b"written")
    assert answer.complete is differs("A failure after the response has begun", ours=False, mod_wsgi=True)


@pytest.mark.parametrize("name", ["Server", "Date"])
def test_the_server_adds(server: Server, name: str) -> None:
    assert server.ask("/single").get(name)
