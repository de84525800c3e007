"""What an interpreter is given: the most specific block that says something wins, and the later one among equals."""

from __future__ import annotations

import pytest
from harness import Server

# Seconds; what use of stdin, stdout and signal.signal() gives; whether the block's directory is on sys.path.
GIVEN = {
    "/plain": (0.02, "allowed", "allowed", "allowed", False),
    "/plain-named": (0.02, "allowed", "allowed", "ValueError", False),
    "/own": (0.03, "allowed", "allowed", "allowed", False),
    "/own-other": (0.03, "allowed", "allowed", "allowed", False),
    "/selected": (0.03, "OSError", "allowed", "allowed", False),
    "/selected-named": (0.03, "allowed", "OSError", "ValueError", True),
    "/block": (0.04, "OSError", "allowed", "allowed", False),
}


@pytest.mark.parametrize("target", [pytest.param(target, marks=pytest.mark.group(target[1:].split("-")[0])) for target in GIVEN])
def test_the_interpreter_is_given(server: Server, target: str) -> None:
    answer = server.ask(target)
    assert answer.status == 200, answer.body
    seen = answer.json
    found = (seen["switch_interval"], seen["stdin"], seen["stdout"], seen["signal"], seen["found"])
    assert found == (pytest.approx(GIVEN[target][0]), *GIVEN[target][1:])
    # Reported: in a sub-interpreter Django was not found, since the server's own folder came first on the path.
    assert seen["strangers"] == [], "modules of the server's own"
