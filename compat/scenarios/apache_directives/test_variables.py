"""SetEnvIf and BrowserMatch: what the application finds in its environ."""

from __future__ import annotations

import pytest
from harness import Server


def environ(server: Server, target: str, headers: dict[str, str] | None = None, method: str = "GET") -> dict:
    return server.ask(target, method, headers=headers or {}).json["values"]


def test_a_variable_is_the_matched_part(server: Server) -> None:
    seen = environ(server, "/app/environ?x=%20", {"User-Agent": "Mozilla/4.0 (compatible; MSIE 6.0)"})
    wanted = {"sent": "/app/environ", "near": "127.", "ie": "6", "nokeepalive": "1", "inner": "environ", "both": "1", "empty": "1"}
    assert {name: seen.get(name) for name in wanted} == wanted
    assert "posted" not in seen and "colour" not in seen


def test_before_routing_the_path_is_as_it_was_sent(server: Server) -> None:
    seen = environ(server, "/app/%65nviron")
    assert ("sent" in seen, seen["inner"]) == (False, "environ")


def test_case_and_negation(server: Server) -> None:
    seen = environ(server, "/app/environ", {"X-Kind": "Blue"}, "POST")
    assert (seen["colour"], seen["again"], seen["posted"], "near" in seen) == ("blue", "1", "1", False)


def test_the_request_and_setenv_are_stronger(server: Server) -> None:
    seen = environ(server, "/app/environ")
    assert (seen["SCRIPT_NAME"], seen["HTTP_HOST"], seen["SHARED"]) == ("/app", "localhost", "setenv")


@pytest.mark.parametrize(("proto", "scheme"), [("https", "https"), ("http", "http")])
def test_https_says_the_scheme(server: Server, proto: str, scheme: str) -> None:
    seen = environ(server, "/app/environ", {"X-Forwarded-Proto": proto})
    assert (seen["wsgi.url_scheme"], "HTTPS" in seen) == (scheme, False)


@pytest.mark.of_daemon_mode("it chooses between two process groups")
def test_a_variable_names_the_process_group(server: Server) -> None:
    assert server.ask("/named/where", headers={"X-Kind": "blue"}).json["process_group"] == "blue"
    # The next request for the same address is another one.
    assert server.ask("/named/where").status == 500
    assert server.ask("/named/where", headers={"X-Kind": "blue"}).json["process_group"] == "blue"
