"""Cases that failed beside other rings, asked again with the machine to themselves.

A few failures of a run may come from its neighbours: six cases share two cores. Each such case is run once more, alone. One that
passes then is named in the closing lines and is not counted as failed; its first failure stays in the ring's log.
"""

from __future__ import annotations

import re
from pathlib import Path

from counts import Counts, counted
from rings import Ring
from side_by_side import Job, Result, SideBySide, show

# A thousandth of all cases. More are no accident: nothing is asked again.
MOST = 9


def failed_cases(ring: Ring, text: str) -> list[str]:
    """The cases that a ring's output names as failed: pytest's ids, as often as they count, or nextest's `BINARY TEST`."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", text)
    if "nextest" in ring.command:
        found = re.findall(r"^\s+(?:FAIL|TIMEOUT|SIG[A-Z]+)\s+\[[^\]]*\]\s+(?:\([^)]*\)\s+)?(\S+ \S+)$", text, re.M)
    else:
        # A case that ran a pytest itself may have printed its summary above.
        summary = text[max(text.rfind("short test summary info"), 0) :]
        # One that fails and whose end fails, too, has two lines, and counts twice.
        return [name.split(" - ")[0] for name in re.findall(r"^(?:FAILED|ERROR) (\S+?::.+)$", summary, re.M)]
    return list(dict.fromkeys(found))


def command_for(ring: Ring, cases: list[str]) -> list[str]:
    """The command that runs only `cases` of the ring, one after the other."""
    if "nextest" in ring.command:
        begin = ring.command[: ring.command.index("nextest")]
        chosen = [f"(binary_id(={binary}) & test(={test}))" for binary, test in (case.split(" ") for case in cases)]
        return [*begin, "nextest", "run", "--workspace", "--no-fail-fast", "--test-threads", "1", "-E", " | ".join(chosen)]
    return [*ring.command[: ring.command.index("pytest") + 1], *cases]


def asked_again(rings: list[Ring], results: dict[str, Result], counts: dict[str, Counts], logs: Path) -> list[str]:
    """Runs the failed cases once more, if they are few, and names those that pass; `counts` has them as passed then."""
    failed = [ring for ring in rings if counts[ring.name].failed]
    named = {ring.name: failed_cases(ring, results[ring.name].text()) for ring in failed}
    have_names = all(len(named[ring.name]) == counts[ring.name].failed for ring in failed)
    cases = {ring: list(dict.fromkeys(names)) for ring, names in named.items()}
    if not have_names or sum(counts[ring.name].failed for ring in failed) > MOST:
        return []
    passed = []
    # Also those that had the machine to themselves: other machines on the same host may have disturbed what they measure.
    for ring in failed:
        job = Job(f"{ring.name}-again", command_for(ring, cases[ring.name]), ring.folder, ring.environment)
        result = SideBySide([job], logs, places=1, over=show).run()[job.name]
        again = counted(result.text())
        if result.status == 0 and again and again.passed == len(cases[ring.name]):
            passed += [f"{ring.name} {case}" for case in cases[ring.name]]
            counts[ring.name].passed += again.passed
            counts[ring.name].failed = 0
    return passed
