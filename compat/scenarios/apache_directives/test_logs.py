"""CustomLog with an expression, and the status of the response in expressions."""

from __future__ import annotations

from harness import Server, until


def test_a_log_of_some_requests(server: Server) -> None:
    for target in ("/files/b.data", "/files/absent", "/given", "/gone", "/forbidden", "/r1", "/files/a.css", "/files/last"):
        server.ask(target)
    # The page about /forbidden comes from the application, with its own status.
    lines = ["/files/absent 404", "/files/a.css 200", "/files/last 404", "/forbidden 200", "/gone 410"]
    log = server.root / "some.log"
    # A line may come after that of a later request.
    until(lambda: log.exists() and set(lines) <= set(log.read_text().splitlines()), "the lines")
    assert not [line for line in log.read_text().splitlines() if line.startswith(("/given", "/r1", "/files/b.data"))]


def test_the_status_in_fields_of_the_response(server: Server) -> None:
    found = [(answer.get("X-Status"), answer.get("X-Wrong")) for answer in map(server.ask, ("/files/b.data", "/files/absent"))]
    assert found == [("200", None), ("404", "1")]
