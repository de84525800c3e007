"""Puts a run of `--workloads all` into the documents: the table between two marks of docs/design/performance.md, the picture, and the
results themselves beside it.

    python bench/beside/publish.py bench-results/DATE.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from beside import picture, ratios
from report import table as aligned

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
PAGE, PICTURE, RESULTS = "design/performance.md", "pictures/beside-others.svg", "pictures/beside-others.json"
BEGIN, END = "<!-- make bench: begin -->", "<!-- make bench: end -->"


def section(results: dict[str, Any]) -> str:
    """What stands between the marks."""
    parts = ["![Requests per second beside other servers](../pictures/beside-others.svg)", ""]
    parts += [f"* {line}" for line in results["machine"]]
    parts += ["", aligned(ratios.cells(results["rows"])), ""]
    if missing := ratios.gaps(results["rows"]):
        parts += ["Not measured:", "", *[f"* {line}" for line in missing], ""]
    return "\n".join(parts)


def publish(results: dict[str, Any], docs: Path) -> None:
    """Writes all three; raises ValueError for a page without the marks."""
    page = docs / PAGE
    before, begin, rest = page.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} lacks the lines `{BEGIN}` and `{END}`")
    page.write_text(f"{before}{BEGIN}\n\n{section(results)}\n{END}{after}")
    (docs / PICTURE).write_text(picture.draw(results["rows"], results["machine"][-1]))
    (docs / RESULTS).write_text(json.dumps(results, indent=1) + "\n")


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("usage: publish.py RESULTS.json")
    try:
        publish(json.loads(Path(sys.argv[1]).read_text()), DOCS)
    except (OSError, ValueError) as problem:
        sys.exit(f"publish: {problem}")


if __name__ == "__main__":
    main()
