"""Access rules where a request becomes another within the server, and where its path is written in an unusual way."""

from __future__ import annotations

import pytest
from harness import Server

PLACES = [
    ("/pub/a.txt", 200),
    # The fallback has its own rules; those of a section that held for the first path no longer count.
    ("/pub/missing", 403),
    ("/secret/", 403),
    # The index of a directory is a request of its own.
    ("/conditional/", 403),
    ("/named/", 403),
    ("/page/", 403),
    ("/page/index.html", 200),
    # Access comes before a redirection of the place.
    ("/moved/a.txt", 403),
    # A dot of a pattern is every byte.
    ("/app/admin/x", 403),
    ("/app/admin/x%0a", 403),
    ("/app/admin/%0ax", 403),
    ("/app/admin/%ff", 403),
    ("/app/other", 200),
    # Sections of one kind are merged with each other first.
    ("/merged/a.txt", 200),
    ("/merged/and.txt", 403),
]


@pytest.mark.parametrize(("target", "status"), PLACES)
def test_places(server: Server, target: str, status: int) -> None:
    assert server.ask(target).status == status


@pytest.mark.parametrize("address", ["192.0.2.1", "192.0.2.1, 127.0.0.1"])
def test_an_address_that_the_client_gives_itself_admits_nobody(server: Server, address: str) -> None:
    assert server.ask("/app/ip", headers=[("X-Forwarded-For", address)]).status == 403


@pytest.mark.parametrize(("agent", "status"), [("b", 200), ("aaaa", 403)])
def test_a_variable_of_a_pattern_with_look_ahead(server: Server, agent: str, status: int) -> None:
    assert server.ask("/app/marked", headers=[("User-Agent", agent)]).status == status
