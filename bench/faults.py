"""Faults and overload, Gilkeeper beside other servers: what each row does stands in docs/design/reliability.md.

    make faults                                        everything, two rounds, some twenty minutes
    make faults ARGS=--quick                           one short round, under four minutes
    scripts/faults --rows killed,reloads --servers gilkeeper
    scripts/faults --keep docs/design/reliability.md   puts the table into the page

Prints a table and what it is worse in; writes nothing unless --keep says where. Counts are sums over the rounds, the rest are medians.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
from collections import Counter
from pathlib import Path
from statistics import median

import harness
from bench import choose, machine
from fault_rows import QUICK, ROWS, WHOLE, Outcome, Row, Size, once
from report import table
from servers import SERVERS

DEFAULT = ["gilkeeper", "gilkeeper-embedded", "granian", "gunicorn-gthread"]
OURS = ("gilkeeper", "gilkeeper-embedded")
BEGIN, END = "<!-- make faults: begin -->", "<!-- make faults: end -->"
HEAD = ["", "server", "failed", "of", "p50 ms", "p99 ms", "memory MB", "also"]
# A quantile or a size is worse from this much on, and by more than so many ms or MB: less is the scatter of two runs.
FACTOR, SLACK = 1.25, 5.0


class Cell:
    """One server in one row, over the rounds."""

    def __init__(self, row: Row, outcomes: list[Outcome]) -> None:
        self.row = row
        self.failed: Counter[str] = Counter()
        for outcome in outcomes:
            self.failed.update(outcome.tally.failed)
        self.asked = sum(outcome.tally.asked for outcome in outcomes)
        self.p50 = middle([outcome.tally.quantile(0.5) for outcome in outcomes])
        self.p99 = middle([outcome.tally.quantile(0.99) for outcome in outcomes])
        self.memory = middle([outcome.memory for outcome in outcomes])
        self.figure = middle([outcome.figure for outcome in outcomes])

    def texts(self) -> list[str]:
        how = ", ".join(f"{count:,} {kind}" for kind, count in sorted(self.failed.items()))
        failed = "0" if not how else f"{self.failed.total():,} ({how})" if len(self.failed) > 1 else how
        figure = "" if self.figure is None or not self.row.figure else f"{shown(self.figure)} {self.row.figure}"
        return [failed, f"{self.asked:,}", shown(self.p50), shown(self.p99), shown(self.memory), figure]

    @property
    def share(self) -> float:
        return self.failed.total() / self.asked if self.asked else 1.0


def middle(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


def shown(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def worse(cells: dict[str, Cell], ours: str) -> list[str]:
    """In which cells of this row ours, in one of its modes, is worse than a peer, in words."""
    if ours not in cells:
        return []
    own, found = cells[ours], []
    for name, peer in cells.items():
        if name in OURS:
            continue
        if own.share > peer.share:
            found.append(f"failed: {own.failed.total():,} of {own.asked:,}, {name} {peer.failed.total():,} of {peer.asked:,}")
        pairs = [("p50", own.p50, peer.p50), ("p99", own.p99, peer.p99), ("memory", own.memory, peer.memory)]
        if own.row.figure:
            pairs.append((own.row.figure, own.figure, peer.figure))
        for what, mine, other in pairs:
            if mine is None or other is None:
                continue
            less = own.row.less or what != own.row.figure
            high, low = (mine, other) if less else (other, mine)
            # Of those that failed nobody knows how long they would have taken, nor what it takes to hold them.
            fair = what not in ("p50", "p99", "memory") or peer.share <= own.share + 0.01
            if fair and high > low * FACTOR and high > low + (SLACK if what in ("p50", "p99", "memory") else 0.5):
                found.append(f"{what}: {shown(mine)}, {name} {shown(other)}")
    return found


def measured(rows: list[Row], servers: list[str], size: Size, rounds: int) -> dict[str, dict[str, list[Outcome]]]:
    seen: dict[str, dict[str, list[Outcome]]] = {row.name: {} for row in rows}
    for number in range(rounds):
        for row in rows:
            # Who is first takes turns.
            for name in servers[number % len(servers) :] + servers[: number % len(servers)]:
                try:
                    outcome = once(row, name, size)
                except (RuntimeError, OSError, AssertionError, harness.Unusable, subprocess.CalledProcessError) as problem:
                    print(f"faults: {name}, {row.name}: {problem}", file=sys.stderr)
                    continue
                if outcome is None:
                    continue
                seen[row.name].setdefault(name, []).append(outcome)
                cell = Cell(row, [outcome])
                print(f"round {number + 1} of {rounds}, {row.name}, {name}: " + " | ".join(cell.texts()), file=sys.stderr)
    return seen


def document(about: list[str], rows: list[Row], servers: list[str], seen: dict[str, dict[str, list[Outcome]]]) -> str:
    lines, weak = [HEAD], []
    for row in rows:
        cells = {name: Cell(row, seen[row.name][name]) for name in servers if name in seen[row.name]}
        for place, (name, cell) in enumerate(cells.items()):
            lines.append([row.name if place == 0 else "", name, *cell.texts()])
        weak += [f"{row.name}, {own}: {text}" for own in OURS for text in worse(cells, own)]
    peers, own = set(servers) - set(OURS), set(servers) & set(OURS)
    said = weak or ["nowhere" if peers and own else "nothing to compare with"]
    return "\n".join([*[f"* {line}" for line in about], "", table(lines), "", "Where Gilkeeper is worse:", "", *[f"* {line}" for line in said], ""])


def keep(page: Path, text: str) -> None:
    """Replaces what stands between the page's two marks."""
    before, begin, rest = page.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        sys.exit(f"faults: {page} lacks the lines `{BEGIN}` and `{END}`.")
    page.write_text(f"{before}{BEGIN}\n{text}{END}{after}")


def profile() -> str:
    """How ours was built, as far as its size tells."""
    folder = Path(harness.gilkeeper()).parent.parent
    sizes = [file.stat().st_size for file in folder.glob("lib/python*/site-packages/gilkeeper/_native*.so")]
    if not sizes:
        return "gilkeeper: build unknown"
    return "gilkeeper: built without optimisation" if sizes[0] > 20 << 20 else "gilkeeper: release build"


def main() -> int:
    parser = argparse.ArgumentParser(prog="faults", description="Faults and overload, beside other servers.")
    parser.add_argument("--quick", action="store_true", help="one short round with fewer clients")
    parser.add_argument("--rounds", type=int, help="rounds; two by default")
    parser.add_argument("--servers", help=f"some of {','.join(SERVERS)}; {','.join(DEFAULT)} by default")
    parser.add_argument("--rows", help="only rows whose names contain one of these words, parted by commas")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="page whose table is replaced")
    given = parser.parse_args()
    size = QUICK if given.quick else WHOLE
    rounds = given.rounds or (1 if given.quick else 2)
    servers = choose(given.servers, list(SERVERS), "servers") if given.servers else DEFAULT
    words = given.rows.split(",") if given.rows else [""]
    rows = [row for row in ROWS if any(word in row.name for word in words)]
    if rounds < 1 or not rows:
        sys.exit("faults: at least one round of one row is needed; rows are " + "; ".join(row.name for row in ROWS))
    # As many connections as the system allows, in the clients and in the servers that they start.
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    names = machine(False)[:2]
    about = [*names, f"{profile()}; 2 processes x 4 threads each; clients on the same cores; {rounds} round{'s' * (rounds > 1)}"]
    if given.quick:
        about.append(f"short form: {size.many:,} clients where the name of a row says 10,000, and fewer bodies and heads")
    print("\n".join(about), file=sys.stderr, flush=True)
    text = document(about, rows, servers, measured(rows, servers, size, rounds))
    print(text)
    if given.keep:
        keep(given.keep, text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
