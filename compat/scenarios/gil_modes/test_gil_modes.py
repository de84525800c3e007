"""Which interpreters have a GIL of their own, by the options' specificity, and their switch intervals."""

from __future__ import annotations

import pytest
from harness import Server

# Isolated, switch interval in seconds, application group.
GIVEN = {
    "/main": (False, 0.03, ""),
    "/quick": (True, 0.001, "quick"),
    # `switch-interval=` does not reach a GIL of its own.
    "/other": (True, 0.005, "other"),
    "/off": (False, 0.03, "off"),
    "/named": (True, 0.005, "named-by-the-environment"),
    "/mixed": (False, 0.005, "shared"),
    "/mixed-own": (True, 0.002, "own"),
    "/site": (False, 0.005, "shared"),
    "/site/suburl": (True, 0.002, "own"),
}


def case(target: str) -> object:
    return pytest.param(target, marks=pytest.mark.group("mixed" if target.startswith(("/mixed", "/site")) else "isolated"))


@pytest.mark.parametrize("target", [case(target) for target in GIVEN])
def test_the_interpreter_has(server: Server, target: str) -> None:
    answer = server.ask(target)
    assert answer.status == 200, answer.body
    seen = answer.json
    if GIVEN[target][0] and seen["version"] < [3, 12]:
        pytest.skip("an interpreter with a GIL of its own needs CPython 3.12")
    given = (seen["isolated"], seen["switch_interval"], seen["application_group"])
    assert given == (GIVEN[target][0], pytest.approx(GIVEN[target][1]), GIVEN[target][2])
