"""The picture of the table: bars of requests/s for each workload, made of the results' JSON. It has no font, script or address of
its own, and is drawn for light and dark pages alike.

    python bench/beside/picture.py bench-results/DATE.json docs/pictures/beside-others.svg
"""

from __future__ import annotations

import json
import sys
from html import escape
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from beside.ratios import OURS, figures
from beside.workloads import TITLES

WIDTH, NAMES, FIGURES = 860, 190, 130
LINE, TITLE, BELOW = 20, 30, 14
STYLE = """text { font: 13px system-ui, sans-serif; fill: #57606a } .title { font-weight: 600 } .ours { fill: #0969da } .peer { fill: #8c959f }
@media (prefers-color-scheme: dark) { text { fill: #c9d1d9 } .ours { fill: #58a6ff } .peer { fill: #6e7681 } }"""


def draw(rows: list[dict[str, Any]], about: str) -> str:
    """The picture. `about`: one line on where and when this was measured."""
    known = figures(rows)
    parts, y = [], 8
    for workload in dict.fromkeys(name for name, _ in known):
        seen = {server: one for (name, server), one in known.items() if name == workload}
        measured = sorted((server for server in seen if "gap" not in seen[server]), key=lambda server: -seen[server]["rate"])
        missing = [server for server in seen if "gap" in seen[server]]
        parts.append(f'<text class="title" x="0" y="{y + 14}">{escape(TITLES.get(workload, workload))}, requests/s</text>')
        y += TITLE
        for server in measured:
            rate = seen[server]["rate"]
            width = max(1.0, (WIDTH - NAMES - FIGURES) * rate / seen[measured[0]]["rate"])
            kind = "ours" if server in OURS else "peer"
            parts.append(f'<text x="{NAMES - 8}" y="{y + 12}" text-anchor="end">{escape(server)}</text>')
            parts.append(f'<rect class="{kind}" x="{NAMES}" y="{y}" width="{width:.1f}" height="{LINE - 5}"/>')
            parts.append(f'<text x="{NAMES + width + 6:.1f}" y="{y + 12}">{rate:,.0f}</text>')
            y += LINE
        if missing:
            parts.append(f'<text x="{NAMES}" y="{y + 12}">not measured: {escape(", ".join(missing))}</text>')
            y += LINE
        y += BELOW
    parts.append(f'<text x="0" y="{y + 14}">{escape(about)}</text>')
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + 24}" width="{WIDTH}" height="{y + 24}" role="img">'
    return "\n".join([head, f"<title>Requests per second beside other servers</title><style>{STYLE}</style>", *parts, "</svg>", ""])


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit("usage: picture.py RESULTS.json PICTURE.svg")
    results = json.loads(Path(sys.argv[1]).read_text())
    Path(sys.argv[2]).write_text(draw(results["rows"], results["machine"][-1]))


if __name__ == "__main__":
    main()
