"""mod_remoteip: whom a proxy may name, what is left of the header, what rules, logs and the application see, and the PROXY protocol."""

from __future__ import annotations

import json
import re
import shutil
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import client
import harness
import pytest
from differs import differs
from harness import Server, until


class Proxied(Server):
    """A server with a second port, at which the PROXY protocol is spoken."""

    proxied: int


@pytest.fixture(scope="module")
def server() -> Iterator[Proxied]:
    folder, port = Path(__file__).parent, harness.free_port()
    conf = f"Define PROXIED {port}\n{(folder / 'site.conf').read_text()}"
    server = Proxied([harness.APPS / "probes.py", folder], conf, folder.name)
    server.proxied = port
    server.start()
    try:
        yield server
    except BaseException:
        server.kill()
        raise
    status = server.stop()
    if server.under_test == "ours":
        assert (status, server.alarms()) == (0, []), server.log()[-3000:]
    shutil.rmtree(server.root, ignore_errors=True)


def seen(server: Server, host: str, value: str, target: str = "/environ") -> tuple[str, str | None, str | None]:
    """REMOTE_ADDR, what is left of the header, and the proxies that were passed."""
    values = server.ask(target, host=f"{host}.example", headers={"X-Forwarded-For": value}).json["values"]
    return values["REMOTE_ADDR"], values.get("HTTP_X_FORWARDED_FOR"), values.get("HTTP_X_BY")


INTERNAL = {
    "203.0.113.9": ("203.0.113.9", None),
    "203.0.113.9, 10.0.0.1": ("203.0.113.9", None),
    "203.0.113.9 , 10.0.0.1 ": ("203.0.113.9", None),
    "203.0.113.9, 198.51.100.1": ("198.51.100.1", "203.0.113.9"),
    "10.0.0.2": ("10.0.0.2", None),
    "10.0.0.2, 10.0.0.1": ("10.0.0.2", None),
    "172.31.0.1, 203.0.113.7": ("203.0.113.7", "172.31.0.1"),
    "2001:db8::1": ("2001:db8::1", None),
    "fe80::1": ("fe80::1", None),
    "203.0.113.9, ::ffff:10.0.0.1": ("203.0.113.9", None),
    "203.0.113.9,,10.0.0.1": ("10.0.0.1", "203.0.113.9,"),
    # What is no plain address is none, and the header stays as it is.
    "203.0.113.9:80": ("127.0.0.1", "203.0.113.9:80"),
    "[2001:db8::1]": ("127.0.0.1", "[2001:db8::1]"),
    "203.0.113.9, 10.0.0.1:99": ("127.0.0.1", "203.0.113.9, 10.0.0.1:99"),
    "203.0.113.9,\t10.0.0.1": ("127.0.0.1", "203.0.113.9,\t10.0.0.1"),
    "203.0.113.09": ("127.0.0.1", "203.0.113.09"),
    ",": ("127.0.0.1", ","),
    "": ("127.0.0.1", ""),
}


@pytest.mark.parametrize("value", INTERNAL)
def test_internal_proxies_name_any_address(server: Server, value: str) -> None:
    assert seen(server, "internal", value) == (*INTERNAL[value], None)


EXTERNAL = {
    "203.0.113.9": ("203.0.113.9", None, "127.0.0.1"),
    "203.0.113.9, 198.51.100.1": ("203.0.113.9", None, "127.0.0.1, 198.51.100.1"),
    "10.0.0.1, 198.51.100.1": ("198.51.100.1", "10.0.0.1", "127.0.0.1"),
    "203.0.113.9:80, 198.51.100.1": ("198.51.100.1", "203.0.113.9:80", "127.0.0.1"),
    ", 198.51.100.1": ("198.51.100.1", "", "127.0.0.1"),
    "2001:db8::1": ("2001:db8::1", None, "127.0.0.1"),
    "0.0.0.0": ("0.0.0.0", None, "127.0.0.1"),
}
PRIVATE = ("10.0.0.2", "172.16.9.9", "192.168.1.1", "169.254.0.1", "127.0.0.9", "fe80::1", "fd00::1", "::1", "203.0.113.9, 10.0.0.1")


@pytest.mark.parametrize("host", ["external", "anyone"])
@pytest.mark.parametrize("value", EXTERNAL)
def test_external_proxies_name_public_addresses_and_are_told(server: Server, host: str, value: str) -> None:
    assert seen(server, host, value) == EXTERNAL[value]


@pytest.mark.parametrize("host", ["external", "anyone"])
@pytest.mark.parametrize("value", PRIVATE)
def test_external_proxies_name_no_private_address(server: Server, host: str, value: str) -> None:
    assert seen(server, host, value) == ("127.0.0.1", value, None)


def test_lists_stand_in_files(server: Server) -> None:
    assert seen(server, "listed", "203.0.113.9, 192.168.1.1") == ("203.0.113.9", None, None)
    assert seen(server, "listed", "192.168.7.7, 203.0.113.1, 10.9.9.9") == ("203.0.113.1", "192.168.7.7", None)
    assert seen(server, "listed", "198.51.100.7, 203.0.113.1, 10.9.9.9") == ("198.51.100.7", None, "203.0.113.1")


def test_strangers_are_not_believed(server: Server) -> None:
    assert seen(server, "stranger", "203.0.113.9") == ("127.0.0.1", "203.0.113.9", None)
    assert seen(server, "plain", "203.0.113.9") == ("127.0.0.1", "203.0.113.9", None)


def test_names_are_no_addresses(server: Server) -> None:
    expected = differs(
        "Names and short forms in RemoteIPHeader", ours=("127.0.0.1", "1.2.3", None), mod_wsgi=("1.2.0.3", None, None)
    )
    assert seen(server, "internal", "1.2.3") == expected


def test_rules_and_variables_see_the_client(server: Server) -> None:
    def ask(target: str, value: str) -> client.Response:
        return server.ask(target, host="internal.example", headers={"X-Forwarded-For": value})

    values = ask("/expression/environ", "203.0.113.9").json["values"]
    assert (values["SEEN"], values["EXPR"]) == ("test-net", "yes")
    assert "SEEN" not in ask("/environ", "198.51.100.1").json["values"]
    statuses = [ask("/restricted/environ", value).status for value in ("203.0.113.9", "198.51.100.1", "bogus")]
    assert statuses == [200, 403, 403]
    assert [ask("/local/environ", value).status for value in ("203.0.113.9", "127.0.0.1", "bogus")] == [403, 200, 200]


def test_logs_show_client_and_peer(server: Server) -> None:
    server.ask("/environ", host="internal.example", headers={"X-Forwarded-For": "198.51.100.77, 203.0.113.77"})
    log = server.root / "remote.log"
    line = until(lambda: re.search(r".*113\.77.*", log.read_text() if log.exists() else ""), "a line of the access log")
    assert line.group() == "internal.example 203.0.113.77 203.0.113.77 127.0.0.1 [198.51.100.77]"
    server.mark_log()
    server.ask("/restricted/environ", host="internal.example", headers={"X-Forwarded-For": "198.51.100.78"})
    server.wait_log(r"\[client 198\.51\.100\.78(:0)?\].*AH01630")


def test_beside_the_trusted_proxies_of_mod_wsgi_the_client_is_the_peer(server: Server) -> None:
    def values(target: str, value: str) -> tuple[str, str | None, str]:
        headers = {"X-Forwarded-For": value, "X-Forwarded-Proto": "https"}
        found = server.ask(target, host="both.example", headers=headers).json["values"]
        return found["REMOTE_ADDR"], found.get("HTTP_X_FORWARDED_FOR"), found["wsgi.url_scheme"]

    assert values("/environ", "203.0.113.9") == ("203.0.113.9", None, "http")
    assert values("/environ", "198.51.100.7, 203.0.113.9") == ("203.0.113.9", None, "http")
    assert values("/client/environ", "198.51.100.7, 203.0.113.9") == ("198.51.100.7", "198.51.100.7", "https")
    assert values("/anyone/environ", "203.0.113.9")[0] == "203.0.113.9"


# === the PROXY protocol ===

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
REQUEST = b"GET %s HTTP/1.1\r\nHost: proxied.example\r\nX-Forwarded-For: 198.51.100.7\r\nConnection: close\r\n\r\n"


def second(command: int, family: int, rest: bytes) -> bytes:
    return SIGNATURE + bytes([command, family]) + struct.pack("!H", len(rest)) + rest


def pair(family: socket.AddressFamily, one: str, two: str) -> bytes:
    return socket.inet_pton(family, one) + socket.inet_pton(family, two) + struct.pack("!HH", 4711, 443)


FOUR = pair(socket.AF_INET, "203.0.113.9", "192.0.2.1")
SIX = pair(socket.AF_INET6, "2001:db8::9", "2001:db8::1")


def behind(server: Proxied, header: bytes, target: str = "/environ") -> tuple[int, bytes]:
    """Status and body of the answer to a request behind a header; 0: the connection was closed."""
    try:
        answer = client.raw(server.proxied, header + REQUEST % target.encode())
    except ConnectionResetError:
        return 0, b""
    if not answer:
        return 0, b""
    head, _, body = answer.partition(b"\r\n\r\n")
    if b"chunked" in head.lower():
        body = body.partition(b"\r\n")[2].rpartition(b"\r\n0\r\n")[0]
    return int(head.split()[1]), body


GOOD = {
    "v1": (b"PROXY TCP4 203.0.113.9 192.0.2.1 4711 443\r\n", "203.0.113.9"),
    "v1 IPv6": (b"PROXY TCP6 2001:db8::9 2001:db8::1 4711 443\r\n", "2001:db8::9"),
    "v1 unknown": (b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", "127.0.0.1"),
    "v2": (second(0x21, 0x11, FOUR), "203.0.113.9"),
    "v2 IPv6": (second(0x21, 0x21, SIX), "2001:db8::9"),
    "v2 fields": (second(0x21, 0x11, FOUR + b"\x04\0\x02ab\x20\0\x05\x01\0\0\0\0"), "203.0.113.9"),
    "v2 local": (second(0x20, 0x00, b""), "127.0.0.1"),
    "v2 local with an address": (second(0x20, 0x11, FOUR), "127.0.0.1"),
}


@pytest.mark.parametrize("name", GOOD)
def test_the_client_is_the_one_of_the_header(server: Proxied, name: str) -> None:
    header, address = GOOD[name]
    status, body = behind(server, header)
    values = json.loads(body)["values"]
    # RemoteIPHeader is not asked on such a connection.
    assert (status, values["REMOTE_ADDR"], values["HTTP_X_FORWARDED_FOR"]) == (200, address, "198.51.100.7")


def test_the_port_is_that_of_the_client(server: Proxied) -> None:
    with socket.create_connection(("127.0.0.1", server.proxied), client.TIMEOUT) as connection:
        ours = connection.getsockname()[1]
        connection.sendall(GOOD["v2"][0] + REQUEST % b"/environ")
        answer = b""
        while block := connection.recv(1 << 16):
            answer += block
    found = re.search(rb'"REMOTE_PORT": "(\d+)"', answer)
    assert found and int(found.group(1)) == differs("REMOTE_PORT with the PROXY protocol", ours=4711, mod_wsgi=ours)


BAD = {
    "none": b"",
    "other words": b"PROXY TCP5 203.0.113.9 192.0.2.1 4711 443\r\n",
    "other addresses": b"PROXY TCP4 2001:db8::9 2001:db8::1 4711 443\r\n",
    "a name": b"PROXY TCP4 localhost localhost 4711 443\r\n",
    "lower case": b"proxy TCP4 203.0.113.9 192.0.2.1 4711 443\r\n",
    "an endless line": b"PROXY TCP4 203.0.113.9 192.0.2.1 4711 443" + b" " * 100 + b"\r\n",
    "another version": second(0x11, 0x11, FOUR),
    "another command": second(0x22, 0x11, FOUR),
    "another family": second(0x21, 0x41, FOUR),
    "too short": second(0x21, 0x11, FOUR[:8]),
}


@pytest.mark.parametrize("name", BAD)
def test_a_connection_without_a_good_header_is_closed(server: Proxied, name: str) -> None:
    assert behind(server, BAD[name]) == (0, b"")


LOOSE = {
    "two blanks": b"PROXY TCP4  203.0.113.9 192.0.2.1 4711 443\r\n",
    "more words": b"PROXY TCP4 203.0.113.9 192.0.2.1 4711 443 x\r\n",
    "no port of the server": b"PROXY TCP4 203.0.113.9 192.0.2.1 4711\r\n",
    "a short form": b"PROXY TCP4 1.2.3 192.0.2.1 4711 443\r\n",
}


@pytest.mark.parametrize("name", LOOSE)
def test_a_line_that_is_not_quite_right(server: Proxied, name: str) -> None:
    assert behind(server, LOOSE[name])[0] == differs("Lines of the PROXY protocol that are malformed", ours=0, mod_wsgi=200)


ALLOWED = {
    "unknown without more": b"PROXY UNKNOWN\r\n",
    "no addresses": second(0x21, 0x00, b""),
    "Unix addresses": second(0x21, 0x31, b"a" * 216),
    "datagrams": second(0x21, 0x12, FOUR),
    "536 bytes": second(0x21, 0x11, FOUR + b"\x04" + struct.pack("!H", 521) + b"x" * 521),
}


@pytest.mark.parametrize("name", ALLOWED)
def test_what_the_protocol_allows_and_apache_closes(server: Proxied, name: str) -> None:
    assert behind(server, ALLOWED[name])[0] == differs("Headers of the PROXY protocol that Apache closes", ours=200, mod_wsgi=0)


def test_rules_see_the_client_of_the_header(server: Proxied) -> None:
    assert behind(server, GOOD["v1"][0], "/restricted/environ")[0] == 200
    assert behind(server, GOOD["v2 IPv6"][0], "/restricted/environ")[0] == 403
    # A health check of the proxy itself.
    assert behind(server, GOOD["v2 local"][0], "/local/environ")[0] == 200
    assert behind(server, GOOD["v1"][0], "/local/environ")[0] == 403


def test_other_addresses_are_without_the_protocol(server: Proxied) -> None:
    assert server.ask("/environ", host="plain.example").status == 200
