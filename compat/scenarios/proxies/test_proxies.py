"""Which forwarded headers act, and which are deleted."""

from __future__ import annotations

import pytest
from harness import Server


def environ(server: Server, mount: str, headers: dict[str, str]) -> dict:
    return server.ask(f"{mount}/environ", headers=headers).json["values"]


CLIENTS = {
    "203.0.113.9": "203.0.113.9",
    "203.0.113.9, 10.0.0.1": "203.0.113.9",
    "198.51.100.1, 203.0.113.9, 10.0.0.1": "203.0.113.9",
    "198.51.100.1, 203.0.113.9": "203.0.113.9",
    "10.0.0.2, 10.0.0.1": "10.0.0.2",
    "2001:db8::1": "2001:db8::1",
}


@pytest.mark.parametrize("value", CLIENTS)
def test_the_client_is_the_last_untrusted_hop(server: Server, value: str) -> None:
    assert environ(server, "/trusted", {"X-Forwarded-For": value})["REMOTE_ADDR"] == CLIENTS[value]


@pytest.mark.parametrize(("value", "scheme"), [("https", "https"), ("HTTPS", "https"), ("http", "http")])
def test_the_scheme(server: Server, value: str, scheme: str) -> None:
    assert environ(server, "/trusted", {"X-Forwarded-Proto": value})["wsgi.url_scheme"] == scheme


def test_host_and_port(server: Server) -> None:
    seen = environ(server, "/trusted", {"X-Forwarded-Host": "www.example", "X-Forwarded-Port": "8443"})
    assert (seen["HTTP_HOST"], seen["SERVER_PORT"]) == ("www.example", "8443")


def test_the_script_name(server: Server) -> None:
    seen = environ(server, "/trusted", {"X-Script-Name": "/outside"})
    assert (seen["SCRIPT_NAME"], seen["mod_wsgi.mount_point"]) == ("/outside", "/outside")


def test_an_untrusted_peer_is_not_believed(server: Server) -> None:
    headers = {"X-Forwarded-For": "203.0.113.9", "X-Real-IP": "203.0.113.9", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil"}
    seen = environ(server, "/untrusted", headers)
    assert (seen["REMOTE_ADDR"], seen["wsgi.url_scheme"], seen["HTTP_HOST"]) == ("127.0.0.1", "http", "localhost")
    for name in ("X_FORWARDED_FOR", "X_REAL_IP", "X_FORWARDED_PROTO", "X_FORWARDED_HOST"):
        assert f"HTTP_{name}" not in seen


def test_without_a_list_everyone_is_trusted(server: Server) -> None:
    assert environ(server, "/anyone", {"X-Forwarded-For": "203.0.113.9, 198.51.100.1"})["REMOTE_ADDR"] == "203.0.113.9"


def test_synonyms_that_lost_are_deleted(server: Server) -> None:
    seen = environ(server, "/trusted", {"X-Forwarded-For": "203.0.113.9", "X-Real-IP": "198.51.100.1"})
    assert seen["REMOTE_ADDR"] == "203.0.113.9" and "HTTP_X_REAL_IP" not in seen


def test_headers_that_are_not_listed_do_nothing(server: Server) -> None:
    seen = environ(server, "/plain", {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"})
    assert (seen["REMOTE_ADDR"], seen["wsgi.url_scheme"]) == ("127.0.0.1", "http")
    assert seen["HTTP_X_FORWARDED_FOR"] == "203.0.113.9"
