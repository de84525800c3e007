"""What the application finds in environ."""

from __future__ import annotations

from typing import Any

import client
import pytest
from differs import differs
from harness import Server


def environ(server: Server, target: str = "/environ", method: str = "GET", **given: Any) -> dict[str, Any]:
    return server.ask(target, method, **given).json["values"]


STRINGS = """REQUEST_METHOD SCRIPT_NAME PATH_INFO QUERY_STRING REQUEST_URI SERVER_PROTOCOL REQUEST_SCHEME SERVER_NAME
SERVER_PORT SERVER_ADDR REMOTE_ADDR REMOTE_PORT SERVER_SOFTWARE SCRIPT_FILENAME DOCUMENT_ROOT
wsgi.url_scheme mod_wsgi.process_group mod_wsgi.application_group mod_wsgi.callable_object
mod_wsgi.request_handler mod_wsgi.handler_script mod_wsgi.script_name mod_wsgi.path_info mod_wsgi.listener_host mod_wsgi.listener_port
mod_wsgi.server_pid mod_wsgi.request_id""".split()


@pytest.mark.parametrize("key", STRINGS)
def test_is_a_string(server: Server, key: str) -> None:
    seen = server.ask("/environ").json
    assert seen["kinds"].get(key) == "str"


KINDS = {
    "wsgi.version": "tuple",
    "wsgi.input_terminated": "bool",
    "wsgi.multithread": "bool",
    "wsgi.multiprocess": "bool",
    "wsgi.run_once": "bool",
    "wsgi.file_wrapper": "type",
    "mod_wsgi.version": "tuple",
    "mod_wsgi.thread_id": "int",
    "mod_wsgi.request_start": "float",
    "mod_wsgi.queue_start": "float",
    "mod_wsgi.daemon_start": "float",
    "mod_wsgi.application_start": "float",
}


@pytest.mark.parametrize("key", KINDS)
def test_has_its_type(server: Server, key: str) -> None:
    assert server.ask("/environ").json["kinds"].get(key) == KINDS[key]


def test_is_a_plain_dict(server: Server) -> None:
    assert server.ask("/environ").json["exact_dict"] is True


VALUES = {
    "REQUEST_METHOD": "GET",
    "SCRIPT_NAME": "",
    "PATH_INFO": "/environ",
    "QUERY_STRING": "a=1&b=%20",
    "REQUEST_URI": "/environ?a=1&b=%20",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "REQUEST_SCHEME": "http",
    "SERVER_NAME": "localhost",
    "SERVER_ADDR": "127.0.0.1",
    "REMOTE_ADDR": "127.0.0.1",
    "FROM_CONFIGURATION": "a value",
    "HTTP_HOST": "localhost",
    "wsgi.version": [1, 0],
    "wsgi.url_scheme": "http",
    "wsgi.input_terminated": True,
    "wsgi.multithread": True,
    "wsgi.multiprocess": True,
    "wsgi.run_once": False,
    "mod_wsgi.process_group": "probes",
    "mod_wsgi.application_group": "",
    "mod_wsgi.callable_object": "application",
    "mod_wsgi.request_handler": "wsgi-script",
    "mod_wsgi.handler_script": "",
    "mod_wsgi.script_name": "",
    "mod_wsgi.path_info": "/environ",
}


@pytest.mark.parametrize("key", VALUES)
def test_has_its_value(server: Server, key: str) -> None:
    assert environ(server, "/environ?a=1&b=%20").get(key) == VALUES[key]


def test_ports_and_script(server: Server) -> None:
    seen = environ(server)
    assert seen["SCRIPT_FILENAME"] == str(server.root / "app" / "probes.py")
    assert seen["mod_wsgi.listener_port"] == str(server.port)
    assert seen["mod_wsgi.listener_host"] == "127.0.0.1"
    assert seen["REMOTE_PORT"].isdigit()
    assert seen["mod_wsgi.server_pid"].isdigit()


def test_server_port_follows_the_host_header(server: Server) -> None:
    assert environ(server)["SERVER_PORT"] == "80"
    assert environ(server, host=f"localhost:{server.port}")["SERVER_PORT"] == str(server.port)


def test_times_are_in_order(server: Server) -> None:
    seen = environ(server)
    times = [seen[f"mod_wsgi.{name}_start"] for name in ("request", "queue", "daemon", "application")]
    assert times == sorted(times)
    assert times[0] > 1_600_000_000


ABSENT = """HTTPS PATH_TRANSLATED GATEWAY_INTERFACE SERVER_SIGNATURE REMOTE_HOST REMOTE_USER AUTH_TYPE CONTENT_TYPE
CONTENT_LENGTH PATH HOME HTTP_AUTHORIZATION HTTP_PROXY mod_wsgi.magic apache.request_rec""".split()


@pytest.mark.parametrize("key", ABSENT)
def test_is_absent(server: Server, key: str) -> None:
    assert key not in environ(server, headers={"Proxy": "http://evil", "Authorization": "Basic x"})


def test_apache_version(server: Server) -> None:
    seen = server.ask("/environ").json["kinds"].get("apache.version")
    assert seen == differs("apache.version and the apache module", ours=None, mod_wsgi="tuple")


def test_content_headers_have_no_http_name(server: Server) -> None:
    seen = environ(server, method="POST", headers={"Content-Type": "text/x"}, body=b"12345")
    assert (seen["CONTENT_TYPE"], seen["CONTENT_LENGTH"]) == ("text/x", "5")
    assert "HTTP_CONTENT_TYPE" not in seen and "HTTP_CONTENT_LENGTH" not in seen


def test_a_header_becomes_a_variable(server: Server) -> None:
    seen = environ(server, headers={"X-Some-Thing": "  spaced value  "})
    assert seen["HTTP_X_SOME_THING"] == "spaced value"


def test_duplicate_headers_are_joined(server: Server) -> None:
    seen = environ(server, headers=[("X-A", "1"), ("X-B", "x"), ("X-A", "2")])
    assert seen["HTTP_X_A"] == "1, 2"


def test_duplicate_cookies_are_joined(server: Server) -> None:
    seen = environ(server, headers=[("Cookie", "a=1"), ("Cookie", "b=2")])
    assert seen["HTTP_COOKIE"] == differs("Several Cookie headers", ours="a=1; b=2", mod_wsgi="a=1, b=2")


@pytest.mark.parametrize("name", ["X_Under_Score", "X.Dot", "X!Bang"])
def test_names_that_could_pose_as_others_are_dropped(server: Server, name: str) -> None:
    seen = environ(server, headers={name: "evil", "X-Good": "1"})
    assert "evil" not in seen.values()
    assert seen["HTTP_X_GOOD"] == "1"


def test_latin_header_values(server: Server) -> None:
    assert environ(server, headers={"X-A": "caf\xe9 \xff"})["HTTP_X_A"] == "caf\xe9 \xff"


def test_an_empty_header_value(server: Server) -> None:
    assert environ(server, headers={"X-A": ""})["HTTP_X_A"] == ""


def test_question_marks_and_empty_queries(server: Server) -> None:
    assert environ(server, "/environ?")["QUERY_STRING"] == ""
    assert environ(server, "/environ?")["REQUEST_URI"] == "/environ?"
    assert environ(server, "/environ?a?b=c?")["QUERY_STRING"] == "a?b=c?"
    assert environ(server, "/environ?%zz")["QUERY_STRING"] == "%zz"


def test_http_1_0(server: Server) -> None:
    with server.connect() as connection:
        connection.send(b"GET /environ HTTP/1.0\r\n\r\n")
        seen = connection.response().json["values"]
    assert seen["SERVER_PROTOCOL"] == "HTTP/1.0"
    assert seen["SERVER_NAME"] == "localhost"
    assert "HTTP_HOST" not in seen


def test_absolute_form(server: Server) -> None:
    with server.connect() as connection:
        connection.send(b"GET http://localhost/environ?q=1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        seen = connection.response().json["values"]
    assert (seen["PATH_INFO"], seen["QUERY_STRING"]) == ("/environ", "q=1")
    assert seen["HTTP_HOST"] == "localhost"


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND", "MKCOL"])
def test_methods(server: Server, method: str) -> None:
    assert environ(server, method=method)["REQUEST_METHOD"] == method


def test_an_unknown_method(server: Server) -> None:
    assert environ(server, method="BREW")["REQUEST_METHOD"] == "BREW"


def test_many_headers(server: Server) -> None:
    seen = environ(server, headers=[(f"X-H-{number}", str(number)) for number in range(80)])
    assert [seen[f"HTTP_X_H_{number}"] for number in range(80)] == [str(number) for number in range(80)]


def test_a_long_header_value(server: Server) -> None:
    assert environ(server, headers={"X-Long": "v" * 7000})["HTTP_X_LONG"] == "v" * 7000


def test_request_ids_differ(server: Server) -> None:
    first, second = environ(server), environ(server)
    assert first["mod_wsgi.request_id"] != second["mod_wsgi.request_id"]


def test_requests_of_a_connection_share_its_id(server: Server) -> None:
    with server.connect() as connection:
        seen = []
        for _ in range(2):
            connection.send(client.message("GET", "/environ"))
            seen.append(connection.response().json["values"].get("mod_wsgi.connection_id"))
    assert seen[0] == seen[1]
    assert (seen[0] is not None) is differs("mod_wsgi.connection_id", ours=True, mod_wsgi=False)


# What a connection's requests have in common may be kept; what differs must never be.
IN_TURN: list[tuple[str, str, dict[str, str]]] = [
    ("GET", "/environ", {"X-Who": "a"}),
    ("GET", "/environ", {"X-Who": "a"}),
    ("GET", "/environ?q=1", {"X-Who": "a"}),
    ("GET", "/environ", {"X-Who": "b"}),
    ("GET", "/environ", {}),
    ("DELETE", "/environ", {}),
    ("GET", "/environ", {"X-Who": "a", "Cookie": "c=1"}),
    ("GET", "/environ", {"X-Who": "a"}),
    ("GET", "/environ", {"X-Who": "a"}),
]


def test_each_request_of_a_connection_has_its_own_environ(server: Server) -> None:
    with server.connect() as connection:
        for method, target, headers in IN_TURN:
            connection.send(client.message(method, target, headers))
            seen = connection.response(method).json["values"]
            assert (seen["REQUEST_METHOD"], seen["REQUEST_URI"]) == (method, target)
            assert seen["QUERY_STRING"] == target.partition("?")[2]
            assert (seen.get("HTTP_X_WHO"), seen.get("HTTP_COOKIE")) == (headers.get("X-Who"), headers.get("Cookie"))
