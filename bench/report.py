"""From samples to medians, tables and ratios: plain values in, text out."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from measure import Sample


@dataclass
class Row:
    """One server in one workload: a sample a round."""

    workload: str
    server: str
    samples: list[Sample] = field(default_factory=list)
    note: str = ""

    def valid(self) -> list[Sample]:
        return [sample for sample in self.samples if not sample.invalid]

    @property
    def invalid(self) -> str:
        """Why the row says nothing, if it does."""
        if self.note:
            return self.note
        wrong = [sample.invalid for sample in self.samples if sample.invalid]
        return wrong[0] if wrong else "" if self.samples else "not run"

    def middle(self, name: str) -> float:
        return median(getattr(sample, name) for sample in self.samples)

    def spread(self) -> tuple[float, float]:
        rates = [sample.requests_per_second for sample in self.samples]
        return min(rates), max(rates)


HEAD = ["workload", "server", "requests/s", "range", "p50 ms", "p99 ms", "CPU µs/request", "PSS MB", "stolen %"]


def cells(row: Row) -> list[str]:
    if row.invalid:
        return [row.workload, row.server, "invalid", row.invalid[:70], "", "", "", "", ""]
    low, high = row.spread()
    places = {"p50_ms": 2, "p99_ms": 2, "cpu_us_per_request": 1, "pss_mb": 0}
    figures = [f"{row.middle(name):.{digits}f}" for name, digits in places.items()]
    figures.append(f"{100 * max(sample.stolen for sample in row.samples):.1f}")
    return [row.workload, row.server, f"{row.middle('requests_per_second'):,.0f}", f"{low:,.0f}-{high:,.0f}", *figures]


def table(rows: list[list[str]]) -> str:
    """Aligned columns, in Markdown's form."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def ratios(rows: list[Row], ours: str = "gilkeeper") -> list[str]:
    """Requests/s of ours as multiples of each peer's, workload by workload."""
    found = []
    for name in dict.fromkeys(row.workload for row in rows):
        by_server = {row.server: row for row in rows if row.workload == name and not row.invalid}
        if ours not in by_server:
            continue
        own = by_server[ours].middle("requests_per_second")
        others = [f"{own / row.middle('requests_per_second'):.2f} x {server}" for server, row in by_server.items() if server != ours]
        found.append(f"{name}: " + (", ".join(others) or "no peer to compare with"))
    return found


def threads_ratio(rows: list[Row]) -> list[str]:
    """T=4 against T=1 for ours."""
    by_workload = {row.workload: row for row in rows if row.server == "gilkeeper" and not row.invalid}
    one, four = by_workload.get("hello 1x1"), by_workload.get("hello 1x4")
    if one is None or four is None:
        return []
    return [f"gilkeeper hello: T=4 is {four.middle('requests_per_second') / one.middle('requests_per_second'):.2f} x T=1"]


def document(machine: list[str], rows: list[Row], more: list[str]) -> str:
    """The whole report as Markdown; the ratios are last."""
    parts = ["# Benchmark", "", *[f"- {line}" for line in machine], "", table([HEAD, *map(cells, rows)]), ""]
    parts += ["Ratios (requests/s, medians of this run):", "", *[f"- {line}" for line in more], ""]
    return "\n".join(parts)


def as_json(machine: list[str], rows: list[Row], more: list[str]) -> dict[str, Any]:
    return {"machine": machine, "rows": [asdict(row) for row in rows], "ratios": more}
