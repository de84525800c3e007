"""Virtual hosts: the host that answers for a name, and the settings that it inherits."""

from __future__ import annotations

import pytest
from harness import Server

HOSTS = {
    "first.example": ("first", "shared", "first"),
    "FIRST.Example": ("first", "shared", "first"),
    "first.example:{port}": ("first", "shared", "first"),
    "alias.example": ("first", "shared", "first"),
    "any.wild.example": ("first", "shared", "first"),
    "unknown.example": ("first", "shared", "first"),
    "second.example": ("second", "own", "second.example"),
    "second.example.": ("second", "own", "second.example"),
}


@pytest.mark.parametrize("host", [pytest.param(host, marks=pytest.mark.group(HOSTS[host][1])) for host in HOSTS])
def test_the_host_chooses(server: Server, host: str) -> None:
    values = server.ask("/site/environ", host=host.format(port=server.port)).json["values"]
    seen = (values["VHOST"], values["mod_wsgi.process_group"], values["mod_wsgi.application_group"].split(":")[0])
    assert seen == HOSTS[host]


@pytest.mark.group("own")
def test_an_absolute_target_chooses_before_the_header(server: Server) -> None:
    with server.connect() as connection:
        connection.send(b"GET http://second.example/site/environ HTTP/1.1\r\nHost: first.example\r\nConnection: close\r\n\r\n")
        assert connection.response().json["values"]["VHOST"] == "second"


def test_aliases_of_the_server_are_inherited(server: Server) -> None:
    for host in ("first.example", "second.example"):
        values = server.ask("/everywhere/environ", host=host).json["values"]
        assert values["mod_wsgi.application_group"] == ""


def test_the_hosts_own_aliases_come_first(server: Server) -> None:
    values = server.ask("/everywhere/environ", host="third.example").json["values"]
    assert values["mod_wsgi.application_group"] == "third"


@pytest.mark.of_daemon_mode("the one process group is the server's")
def test_another_hosts_group_is_out_of_reach(server: Server) -> None:
    server.mark_log()
    assert server.ask("/site/environ", host="third.example").status == 500
    server.wait_log("WSGI0152")


@pytest.mark.of_daemon_mode("each of the two hosts has its process group")
def test_authorization_is_passed_where_it_is_allowed(server: Server) -> None:
    headers = {"Authorization": "Basic dXNlcjpwYXNz"}
    assert "HTTP_AUTHORIZATION" not in server.ask("/site/environ", host="first.example", headers=headers).json["values"]
    values = server.ask("/site/environ", host="second.example", headers=headers).json["values"]
    assert values["HTTP_AUTHORIZATION"] == "Basic dXNlcjpwYXNz"


@pytest.mark.group("own")
def test_the_server_name_is_the_hosts(server: Server) -> None:
    assert server.ask("/site/environ", host="second.example").json["values"]["SERVER_NAME"] == "second.example"
    assert server.ask("/site/environ", host="second.example").json["values"]["SERVER_ADMIN"] == "admin@second.example"
