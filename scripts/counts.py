"""How many cases of a ring passed, failed and were skipped, by the closing lines of what it printed."""

from __future__ import annotations

import re
from dataclasses import dataclass

from rings import Ring
from side_by_side import Result

PYTEST = r"^=*\s*\d+ (passed|failed|skipped|xfailed|deselected|errors?).* in [\d.]+s"
CLOSING = rf"Summary \[.*tests? run:|^test result: |{PYTEST}"


@dataclass
class Counts:
    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def add(self, other: Counts) -> None:
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped


def counted(text: str) -> Counts | None:
    """The counts of nextest's, libtest's and pytest's closing lines; None where there is no such line.

    pytest has one, the last: a case that failed may have printed that of a pytest which it ran itself.
    """
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in text.splitlines()]
    closing = [line for line in lines if re.search(CLOSING, line)]
    of_pytest = [line for line in closing if re.search(PYTEST, line)]
    total, found = Counts(), bool(closing)
    for line in [line for line in closing if line not in of_pytest] + of_pytest[-1:]:
        for number, word in re.findall(r"(\d+) (passed|failed|timed out|errors?|skipped|ignored|xfailed)", line):
            if word in ("passed", "xfailed"):
                total.passed += int(number)
            elif word in ("skipped", "ignored"):
                total.skipped += int(number)
            else:
                total.failed += int(number)
    return total if found else None


def counts_of(ring: Ring, result: Result) -> Counts:
    if result.broken:
        return Counts(failed=1)
    counts = counted(result.text()) or Counts(passed=int(ring.one and result.status == 0))
    # A ring that says it succeeded and ran no test is lost: a filter that fits nothing, or closing lines of a new form.
    if (result.status or not (counts.passed or counts.skipped)) and not counts.failed:
        counts.failed = 1
    return counts
