"""ErrorLog of virtual hosts: which line stands in which log."""

from __future__ import annotations

import pytest
from harness import Server, until

LOGS = ("error", "with", "own")
# Lines of a request of each host, and the log that has them; what a thread of the application writes, and what goes past Python,
# belongs to no request.
CASES = {
    "plain.example": {"errors": "error", "stderr": "error", "thread": "error", "descriptor": "error", "raised": "error"},
    "with.example": {"errors": "with", "stderr": "with", "thread": "error", "descriptor": "error", "raised": "with"},
    "own.example": {"errors": "own", "stderr": "own", "thread": "own", "descriptor": "own", "raised": "own"},
}


def found(server: Server, line: str) -> set[str]:
    """The logs that hold a line."""
    logs = {name: server.root / f"{name}.log" for name in LOGS}
    return {name for name, path in logs.items() if path.exists() and line in path.read_text()}


@pytest.mark.parametrize("host", ["plain.example", "with.example", pytest.param("own.example", marks=pytest.mark.group("own"))])
def test_a_line_stands_in_the_log_of_its_host(server: Server, host: str) -> None:
    word = host.split(".")[0]
    assert server.ask(f"/raises?{word}", host=host).status == 500
    for kind, log in CASES[host].items():
        until(lambda kind=kind: found(server, f"{kind} {word}"), f"{kind} {word} in a log")
        assert found(server, f"{kind} {word}") == {log}, kind


def test_refusals_and_access_scripts_have_it_too(server: Server) -> None:
    assert server.ask("/closed?refused", host="with.example").status == 403
    assert server.ask("/?guarded", host="with.example").status == 200
    until(lambda: found(server, "guard guarded"), "the access script's line")
    assert found(server, "guard guarded") == {"with"}
    until(lambda: found(server, "AH01630"), "the refusal's line")
    assert found(server, "AH01630") == {"with"}
