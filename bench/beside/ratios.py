"""The table of `--workloads all`: ours as multiples of each peer, ratios first. Values as `report.as_json` has them in, text out."""

from __future__ import annotations

from statistics import median
from typing import Any

from beside.workloads import TITLES
from report import table as aligned

OURS = ("gilkeeper", "gilkeeper-embedded")
HEAD = ["workload", "server", "daemon × rate", "embedded × rate", "daemon × CPU", "embedded × CPU", "requests/s", "range", "CPU µs", "PSS MB"]


def figures(rows: list[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    """Medians by workload and server; of one that says nothing, why."""
    found = {}
    for row in rows:
        key = (row["workload"], row["server"])
        wrong = row["note"] or next((one["invalid"] for one in row["samples"] if one["invalid"]), "" if row["samples"] else "not run")
        if wrong:
            found[key] = {"gap": wrong}
            continue
        rates = [one["requests_per_second"] for one in row["samples"]]
        middle = {name: median(one[name] for one in row["samples"]) for name in ("cpu_us_per_request", "pss_mb")}
        found[key] = {"rate": median(rates), "low": min(rates), "high": max(rates), **middle}
    return found


def times(one: dict[str, Any] | None, other: dict[str, Any], name: str) -> float | None:
    """The one as a multiple of the other."""
    if one is None or "gap" in one or not other[name]:
        return None
    return float(one[name] / other[name])


def cells(rows: list[dict[str, Any]]) -> list[list[str]]:
    """The table with its head, without the servers that have a gap."""
    known = figures(rows)
    lines = [HEAD]
    for (workload, server), seen in known.items():
        if "gap" in seen:
            continue
        ratios = []
        for name in ("rate", "cpu_us_per_request"):
            for own in OURS:
                ratio = None if own == server else times(known.get((workload, own)), seen, name)
                ratios.append("–" if ratio is None else f"{ratio:.2f}")
        spread = f"{seen['low']:,.0f}–{seen['high']:,.0f}"
        rest = [f"{seen['rate']:,.0f}", spread, f"{seen['cpu_us_per_request']:.1f}", f"{seen['pss_mb']:.0f}"]
        lines.append([TITLES.get(workload, workload), server, *ratios, *rest])
    return lines


def gaps(rows: list[dict[str, Any]]) -> list[str]:
    """What could not be measured, and why."""
    known = figures(rows)
    return [f"{TITLES.get(workload, workload)}, {server}: {seen['gap']}" for (workload, server), seen in known.items() if "gap" in seen]


def document(machine: list[str], rows: list[dict[str, Any]]) -> str:
    """The whole report as Markdown."""
    parts = ["# Beside other servers", "", *[f"- {line}" for line in machine], "", aligned(cells(rows)), ""]
    if missing := gaps(rows):
        parts += ["Not measured:", "", *[f"- {line}" for line in missing], ""]
    return "\n".join(parts)
