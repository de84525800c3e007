"""Targets with bytes that belong encoded there: they are served as they were sent."""

from __future__ import annotations

import client
import pytest
from harness import Server, until

# Raw target, and PATH_INFO below /target; both in latin-1, as in environ.
SERVED: dict[str, tuple[str, str]] = {
    "angle brackets": ("/target/<a>?<b>", "/<a>"),
    "quotes": ('/target/"a"?x="b"', '/"a"'),
    "backquotes": ("/target/`a`?`b`", "/`a`"),
    "braces and the like": ("/target/{a}|[b]^c\\d?{a}|[b]^c\\d", "/{a}|[b]^c\\d"),
    "bytes of UTF-8": ("/target/\xc3\xa9?\xc3\xa9", "/\xc3\xa9"),
    "bytes of no UTF-8": ("/target/\xe9\xff?a=\xe9\x80", "/\xe9\xff"),
    "raw and encoded": ("/target/<%3c%3C>%22?%22\"%zz", "/<<<>\""),
    "encoded alone": ("/target/%c3%A9%20?%c3%A9+%20", "/\xc3\xa9 "),
    "dots and slashes beside": ("/x/../target//<a>/./b?//..", "/<a>/b"),
}


def asked(server: Server, target: str) -> client.Response:
    with server.connect() as connection:
        connection.send(f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode("latin-1"))
        return connection.response()


@pytest.mark.parametrize("name", SERVED)
def test_is_served_as_it_was_sent(server: Server, name: str) -> None:
    target, path = SERVED[name]
    seen = asked(server, target).json
    assert (seen["REQUEST_URI"], seen["PATH_INFO"]) == (target, path)
    assert seen["QUERY_STRING"] == target.partition("?")[2]


def test_the_log_has_the_target_as_it_was_sent(server: Server) -> None:
    assert asked(server, "/single?<logged>\xe9").status == 200

    def logged() -> list[str]:
        return [line for line in server.access() if "logged" in line]

    until(logged, "the line is written")
    assert logged() == ["GET /single?<logged>\\xe9 200 17"]


def test_an_absolute_target(server: Server) -> None:
    seen = asked(server, "http://localhost/target/<a>?<b>").json
    assert (seen["PATH_INFO"], seen["QUERY_STRING"], seen["HTTP_HOST"]) == ("/<a>", "<b>", "localhost")


@pytest.mark.parametrize("target", ["/target/<%2f", "/target/%<3c", "/target/<%00"])
def test_what_is_malformed_stays_so(server: Server, target: str) -> None:
    assert asked(server, target).status in (400, 404)
