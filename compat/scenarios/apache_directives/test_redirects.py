"""Redirect and its relatives."""

from __future__ import annotations

import pytest
from harness import Server

# Target, status, Location; `~` is this server.
CASES = [
    ("/r1", 302, "~/to"),
    ("/r1/", 302, "~/to/"),
    ("/r1/a%20b?q=1", 302, "~/to/a%20b?q=1"),
    ("/r1/a;b%3f", 302, "~/to/a;b%3f"),
    ("//r1//z", 302, "~/to/z"),
    ("/r1x", 404, None),
    ("/r2/z?q", 301, "https://x.example/y/z?q"),
    ("/r2", 404, None),
    ("/gone/x", 410, None),
    ("/nf", 404, None),
    ("/r3/v?q=2", 303, "~/t?z=1/v"),
    ("/amp/q%26?u=1", 302, "~/x?a&b=q&"),
    ("/sp/c%20d?x", 307, "~/a%20b/c%20d?x"),
    ("/gm", 410, None),
    ("/rp/a", 301, "http://other.example/a"),
    ("/rt/a?q", 302, "http://other.example/#fa?q"),
    ("/rpx", 404, None),
    ("/placed/a?q", 301, "https://placed.example/x?q"),
    ("/given/moved/here/a", 302, "~/there/a"),
]


@pytest.mark.parametrize(("target", "status", "location"), CASES)
def test_redirects(server: Server, target: str, status: int, location: str | None) -> None:
    response = server.ask(target, headers={"Host": f"localhost:{server.port}"})
    wanted = location and location.replace("~", f"http://localhost:{server.port}")
    assert (response.status, response.get("Location")) == (status, wanted)


@pytest.mark.parametrize("path", ["/r1/%0d%0aX-Evil:%20b", "/amp/%0d%0aX-Evil:%20b"])
def test_a_path_never_splits_the_response(server: Server, path: str) -> None:
    response = server.ask(path)
    assert (response.status in (302, 500), response.get("X-Evil")) == (True, None)
