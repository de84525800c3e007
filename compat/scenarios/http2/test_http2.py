"""What an application and the access log see of HTTP/2, and how its connections begin and end."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest
from differs import differs
from harness import Server, until

CURL = ["curl", "-sS", "--max-time", "20"]


def ask(server: Server, target: str, *arguments: str) -> bytes:
    command = [*CURL, "--http2-prior-knowledge", *arguments, f"http://127.0.0.1:{server.port}{target}"]
    return subprocess.run(command, capture_output=True, check=True, timeout=60).stdout


def environ(server: Server, target: str, *arguments: str) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(ask(server, target, *arguments))["values"]
    return values


def test_environ(server: Server) -> None:
    values = environ(server, "/%65nviron?c=d%20e", "-H", "Cookie: a=1", "-H", "Cookie: b=2", "-H", "X-Two: 1", "-H", "X-Two: 2")
    wanted = {
        "SERVER_PROTOCOL": "HTTP/2.0",
        "REQUEST_METHOD": "GET",
        "REQUEST_URI": "/%65nviron?c=d%20e",
        "PATH_INFO": "/environ",
        "QUERY_STRING": "c=d%20e",
        "HTTP_HOST": f"127.0.0.1:{server.port}",
        "HTTP_COOKIE": "a=1; b=2",
        "HTTP_X_TWO": "1, 2",
        "wsgi.url_scheme": "http",
    }
    assert {name: values.get(name) for name in wanted} == wanted
    assert not {"HTTP_CONNECTION", "HTTP_TRANSFER_ENCODING", "CONTENT_LENGTH"} & set(values)


@pytest.mark.parametrize("size", [0, 5, 200_000])
def test_a_body_with_its_length(server: Server, size: int) -> None:
    counted = json.loads(subprocess.run(
        [*CURL, "--http2-prior-knowledge", "--data-binary", "@-", f"http://127.0.0.1:{server.port}/count"],
        input=b"x" * size,
        capture_output=True,
        check=True,
        timeout=60,
    ).stdout)
    assert counted["length"] == size


def test_a_body_without_a_length(server: Server) -> None:
    command = [*CURL, "--http2-prior-knowledge", "-T", "-", "-X", "POST", f"http://127.0.0.1:{server.port}/count"]
    counted = json.loads(subprocess.run(command, input=b"x" * 200_000, capture_output=True, check=True, timeout=60).stdout)
    assert counted["length"] == differs("Bodies without a length over HTTP/2", ours=200_000, mod_wsgi=0)


def test_responses(server: Server) -> None:
    shown = "%{http_version} %{http_code} %{size_download}"
    table = [
        ("/single", [], b"2 200 17"),
        ("/single", ["-I"], b"2 200 0"),
        ("/no-content", [], b"2 204 0"),
        ("/large?size=1000000", [], b"2 200 1000000"),
        ("/status?line=404%20Not%20Found", [], b"2 404"),
        ("/raise", [], b"2 500"),
    ]
    for target, arguments, wanted in table:
        told = ask(server, target, *arguments, "-o", "/dev/null", "-w", shown)
        assert told.startswith(wanted), (target, told)


def test_a_response_that_is_broken_off_is_reset(server: Server) -> None:
    command = [*CURL, "--http2-prior-knowledge", "-o", "/dev/null", f"http://127.0.0.1:{server.port}/raise-in-body"]
    told = subprocess.run(command, capture_output=True, timeout=60)
    # 92: the stream was reset.
    assert told.returncode == differs("Responses that are broken off over HTTP/2", ours=92, mod_wsgi=0), told


def test_the_access_log(server: Server) -> None:
    url = f"http://127.0.0.1:{server.port}"
    subprocess.run([*CURL, "--http2-prior-knowledge", f"{url}/single?logged"], capture_output=True, check=True, timeout=60)
    lines = until(lambda: [line for line in (server.root / "h2.log").read_text().splitlines() if "logged" in line], "the line")
    assert isinstance(lines, list) and lines[-1].startswith("HTTP/2.0 200 17 /single?logged "), lines


def test_http_1_is_spoken_beside_it(server: Server) -> None:
    command = [*CURL, "--http1.1", "-w", " %{http_version}", f"http://127.0.0.1:{server.port}/single"]
    assert subprocess.run(command, capture_output=True, timeout=60).stdout == b"exactly one block 1.1"
