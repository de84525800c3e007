"""AllowEncodedSlashes: what %2F in a path means to each host."""

from __future__ import annotations

import pytest
from harness import Server, until

# Path, then what each host answers: PATH_INFO of the application, the text of a file, or a status.
CASES: dict[str, tuple[str | int, str | int, str | int]] = {
    # NoDecode, On, Off
    "/app/a%2Fb": ("/a%2Fb", "/a/b", 404),
    "/app/a%2fb%20c": ("/a%2fb c", "/a/b c", 404),
    "/app%2Fx": (404, "/x", 404),
    "/app/a%2F..%2Fb": ("/a%2F..%2Fb", "/b", 404),
    "/app/a%252Fb": ("/a%2Fb", "/a%2Fb", "/a%2Fb"),
    "/app//a%2F%2Fb": ("/a%2F%2Fb", "/a/b", 404),
    "/sub%2Fx": (404, "with a slash\n", 404),
    "/a%2Fb": ("named so\n", 404, 404),
    "/app/closed/x": (403, 403, 403),
    "/app%2Fclosed/x": (404, 403, 404),
    "/app/x%2F..%2Fclosed": ("/x%2F..%2Fclosed", 403, 404),
}
HOSTS = ("kept.example", "on.example", "off.example")


@pytest.mark.parametrize("target", CASES)
def test_what_it_means(server: Server, target: str) -> None:
    for host, expected in zip(HOSTS, CASES[target], strict=True):
        answer = server.ask(target, host=host)
        assert (answer.body.decode() if answer.status == 200 else answer.status) == expected, host


def test_the_log_has_the_decoded_path(server: Server) -> None:
    for host in HOSTS:
        server.ask("/app/logged%20a%2Fb", host=host)
    until(lambda: sum("logged" in line for line in server.access()) == 3, "three lines")
    # Several fronts write their lines when they come to it.
    logged = sorted(line.removeprefix("GET ").rsplit(" ", 2)[0] for line in server.access() if "logged" in line)
    assert logged == ["/app/logged a%2Fb", "/app/logged a/b", "/app/logged a/b"]
