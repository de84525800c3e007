"""Header and RequestHeader: the two tables, and every action."""

from __future__ import annotations

import re

import pytest
from harness import Server

APPLICATION = "/given?h=X-A:app&h=X-B:app&h=Set-Cookie:a=1&h=Set-Cookie:b=2&h=Cache-Control:private&h=ETag:%22x%22"
FIELDS = {
    "X-Set": ["v"],
    "X-A": ["set-success"],
    "X-B": ["set-always", "app"],
    "X-App": ["two", "one"],
    "X-Add": ["a-val-b"],
    "X-M": ["a"],
    "Cache-Control": ["no-store, private", "private"],
    "X-Env": ["val|setenv|(null)|127.0.0.1|localhost"],
    "X-Pct": ["100%"],
    "X-Cond1": ["y"],
    "X-Cond2": [],
    "X-Cond3": [],
    "X-Tls": ["(null)"],
    "X-Escapes": ['a\tb"c'],
    "X-New": ["newalways"],
    "Set-Cookie": ["a=1;Secure", "b=2;Secure"],
    "Content-Type": ["text/html"],
    "ETag": [],
    "X-Echo-1": ["e"],
    "X-Other": [],
}


def fields(server: Server, target: str, headers: dict[str, str] | None = None) -> dict[str, list[str]]:
    response = server.ask(target, headers=headers or {})
    return {name: response.all(name) for name in FIELDS}


def test_every_action(server: Server) -> None:
    assert fields(server, APPLICATION, {"X-Echo-1": "e", "X-Other": "o"}) == FIELDS


def test_the_applications_errors_have_both_tables(server: Server) -> None:
    assert fields(server, APPLICATION + "&status=404+Gone", {"X-Echo-1": "e"}) == FIELDS


def test_an_inner_scope_comes_after(server: Server) -> None:
    assert server.ask("/given/inner").all("X-Set") == ["inner"]


def test_pages_of_the_server_have_the_always_table(server: Server) -> None:
    response = server.ask("/over/x?status=500+Bad")
    assert (response.status, response.get("X-Always"), response.get("X-Success")) == (500, "a", None)
    response = server.ask("/over/x")
    assert (response.status, response.get("X-Always"), response.get("X-Success")) == (200, "a", "s")


def test_time_and_duration(server: Server) -> None:
    assert re.fullmatch(r"D=\d+ t=\d{16}", server.ask("/given").get("X-Times") or "")


def test_the_servers_name_stays(server: Server) -> None:
    assert server.ask("/given").get("Server") != "other"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_value_is_one_line(server: Server, method: str) -> None:
    response = server.ask("/given", method, headers={"X-Tab": "a\tb"})
    assert (response.status, response.all("X-Evil")) == (200, ["a\tb"])


def test_fields_of_a_request(server: Server) -> None:
    headers = {"X-In": "a", "X-Gone": "b", "X-Ed": "aaa", "X-Ed2": "aaa", "X-In2": "y", "Proxy": "evil"}
    seen = server.ask("/given", headers=headers).json
    assert {name: seen.get(f"HTTP_X_{name}") for name in ("REQ", "IN", "GONE", "ED", "ED2", "IN2", "EARLY")} == {
        "REQ": "setenv val",
        "IN": "a, more",
        "GONE": None,
        "ED": "baa",
        "ED2": "bbb",
        "IN2": "z",
        "EARLY": "e",
    }
    assert (seen["sawearly"], "HTTP_PROXY" in seen) == ("1", False)


@pytest.mark.parametrize("headers", [{}, {"X-Key": "k"}], ids=["without", "with"])
@pytest.mark.parametrize(("place", "told"), [("variable", "X-Key"), ("response", "X-Key"), ("request", "X-Key"), ("value", None)])
def test_caches_are_told_of_the_headers_that_a_condition_asks_for(server: Server, place: str, told: str | None, headers: dict[str, str]) -> None:
    """Reported: of the conditions only those of RewriteCond and `<If>` were told to caches. Met with SetEnvIfExpr, and with Header and
    RequestHeader with `expr=`."""
    answer = server.ask(f"/asked/{place}", headers=headers)
    assert (answer.status, answer.get("Vary")) == (200, told)
