"""Which forwarded headers act, and which are deleted."""

from __future__ import annotations

import pytest
from differs import differs
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
    "203.0.113.9, ::ffff:10.0.0.1": "203.0.113.9",
    "10.0.0.1, 203.0.113.9, 10.0.0.1, 198.51.100.7, 10.0.0.2": "198.51.100.7",
    # Values are taken as they are: what is no plain address is no trusted proxy.
    "203.0.113.9:1234": "203.0.113.9:1234",
    "[2001:db8::1]:1234": "[2001:db8::1]:1234",
    "[2001:db8::1]": "[2001:db8::1]",
    "203.0.113.9, 10.0.0.1:99": "10.0.0.1:99",
    "203.0.113.9, unknown, 10.0.0.1": "unknown",
    "_hidden, 10.0.0.1": "_hidden",
}


@pytest.mark.parametrize("value", CLIENTS)
def test_the_client_is_the_last_untrusted_hop(server: Server, value: str) -> None:
    assert environ(server, "/trusted", {"X-Forwarded-For": value})["REMOTE_ADDR"] == CLIENTS[value]


# What a header becomes whose entries are partly empty; None: nobody is named, and the peer's own address stays.
EMPTY_ENTRIES = {
    "203.0.113.9,": ("203.0.113.9", "203.0.113.9"),
    ", 203.0.113.9": ("203.0.113.9", "203.0.113.9"),
    "203.0.113.9,, 10.0.0.1": ("203.0.113.9", "203.0.113.9, 10.0.0.1"),
    "203.0.113.9, , 10.0.0.1": ("203.0.113.9", "203.0.113.9, 10.0.0.1"),
    "203.0.113.9, 10.0.0.1, ,": ("203.0.113.9", "203.0.113.9, 10.0.0.1"),
    ",": (None, ","),
    " , ,": (None, ", ,"),
    "": (None, ""),
}


@pytest.mark.parametrize("value", EMPTY_ENTRIES)
def test_empty_entries_are_skipped(server: Server, value: str) -> None:
    """Reported: an empty entry ended the walk over the trusted proxies."""
    address, left = EMPTY_ENTRIES[value]
    seen = environ(server, "/trusted", {"X-Forwarded-For": value})
    assert (seen["REMOTE_ADDR"], seen["HTTP_X_FORWARDED_FOR"]) == (address or "127.0.0.1", left)
    seen = environ(server, "/anyone", {"X-Forwarded-For": value})
    assert (seen["REMOTE_ADDR"], seen["HTTP_X_FORWARDED_FOR"]) == (address or "127.0.0.1", value.strip())


SINGLE = {
    # Header, value: the key that it sets, and its value.
    ("X-Real-IP", "203.0.113.9:80"): ("REMOTE_ADDR", "203.0.113.9:80"),
    ("X-Real-IP", "203.0.113.9, 198.51.100.1"): ("REMOTE_ADDR", "203.0.113.9, 198.51.100.1"),
    ("X-Real-IP", ""): ("REMOTE_ADDR", ""),
    ("X-Forwarded-Proto", "https, http"): ("wsgi.url_scheme", "http"),
    ("X-Forwarded-Proto", "https,https"): ("wsgi.url_scheme", "http"),
    ("X-Forwarded-Proto", ""): ("wsgi.url_scheme", "http"),
    ("X-Forwarded-Proto", "on"): ("wsgi.url_scheme", "http"),
    ("X-Forwarded-SSL", "on"): ("wsgi.url_scheme", "https"),
    ("X-Forwarded-SSL", "On, Off"): ("wsgi.url_scheme", "http"),
    ("X-Forwarded-SSL", ""): ("wsgi.url_scheme", "http"),
    ("X-Forwarded-Host", "a.example, b.example:81"): ("HTTP_HOST", "a.example, b.example:81"),
    ("X-Forwarded-Host", ""): ("HTTP_HOST", ""),
}


@pytest.mark.parametrize(("name", "value"), SINGLE)
def test_lists_and_empty_values_are_taken_as_they_are(server: Server, name: str, value: str) -> None:
    key, expected = SINGLE[name, value]
    assert environ(server, "/every", {name: value})[key] == expected


@pytest.mark.parametrize("value", ["8443, 80", "", "abc", "99999"])
def test_a_port_that_is_none(server: Server, value: str) -> None:
    own = environ(server, "/every", {})["SERVER_PORT"]
    seen = environ(server, "/every", {"X-Forwarded-Port": value})["SERVER_PORT"]
    assert seen == differs("X-Forwarded-Port that is no port", ours=own, mod_wsgi=value)


def test_request_scheme_behind_a_proxy(server: Server) -> None:
    seen = environ(server, "/every", {"X-Forwarded-Proto": "https"})
    expected = differs("REQUEST_SCHEME behind a proxy", ours="https", mod_wsgi="http")
    assert (seen["wsgi.url_scheme"], seen["REQUEST_SCHEME"]) == ("https", expected)


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
