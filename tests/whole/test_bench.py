"""bench/beside and its rounds: the table, the ratios and the picture that are made of a run's results. No server runs."""

from __future__ import annotations

import json
import subprocess
import sys
import xml.etree.ElementTree as xml
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import harness
import pytest

BENCH = harness.REPOSITORY / "bench"
sys.path.insert(0, str(BENCH))
import bench  # noqa: E402
from beside import picture, publish, ratios, workloads  # noqa: E402


def row(workload: str, server: str, rates: list[float], cpu: float = 10.0, note: str = "", invalid: str = "") -> dict[str, Any]:
    samples = [{"requests_per_second": rate, "cpu_us_per_request": cpu, "pss_mb": 20.0, "invalid": invalid} for rate in rates]
    return {"workload": workload, "server": server, "samples": samples, "note": note}


ROWS = [
    row("hello 1x1", "gilkeeper", [90_000, 100_000, 80_000], 12.0),
    row("hello 1x1", "gilkeeper-embedded", [120_000], 9.0),
    row("hello 1x1", "bjoern", [100_000], 8.0),
    row("hello 1x1", "caddysnake", [], note="not installed: no <wheel> & no compiler"),
    row("large 1x1", "gilkeeper", [3_000]),
    row("large 1x1", "gilkeeper-embedded", [3_000], invalid="5 responses were no success"),
    row("large 1x1", "bjoern", [1_500], 20.0),
    row("other 1x1", "bjoern", []),
]


def test_ours_as_multiples_of_each_server_come_first() -> None:
    head, *lines = ratios.cells(ROWS)
    assert head[:6] == ["workload", "server", "daemon × rate", "embedded × rate", "daemon × CPU", "embedded × CPU"]
    assert [line[:7] for line in lines] == [
        ["hello", "gilkeeper", "–", "1.33", "–", "0.75", "90,000"],
        ["hello", "gilkeeper-embedded", "0.75", "–", "1.33", "–", "120,000"],
        ["hello", "bjoern", "0.90", "1.20", "1.50", "1.12", "100,000"],
        ["1 MB response in one block", "gilkeeper", "–", "–", "–", "–", "3,000"],
        ["1 MB response in one block", "bjoern", "2.00", "–", "0.50", "–", "1,500"],
    ]
    assert lines[0][7] == "80,000–100,000"


def test_what_could_not_be_measured_is_named() -> None:
    assert ratios.gaps(ROWS) == [
        "hello, caddysnake: not installed: no <wheel> & no compiler",
        "1 MB response in one block, gilkeeper-embedded: 5 responses were no success",
        "other 1x1, bjoern: not run",
    ]
    text = ratios.document(["a machine"], ROWS)
    assert text.index("- a machine") < text.index("| hello ") < text.index("Not measured:") < text.index("- hello, caddysnake")
    assert "Not measured" not in ratios.document([], ROWS[:3])


def test_the_picture_has_a_bar_for_each_figure_and_names_the_gaps() -> None:
    drawn = xml.fromstring(picture.draw(ROWS, "2 cores <of> one & the same"))
    space = "{http://www.w3.org/2000/svg}"
    bars = [(bar.get("class"), float(bar.get("width", 0))) for bar in drawn.iter(space + "rect")]
    widest = max(width for _, width in bars)
    assert [(kind, round(width / widest, 2)) for kind, width in bars] == [
        ("ours", 1.0),
        ("peer", 0.83),
        ("ours", 0.75),
        ("ours", 1.0),
        ("peer", 0.5),
    ]
    texts = [text.text for text in drawn.iter(space + "text")]
    assert "not measured: caddysnake" in texts and "not measured: bjoern" in texts and texts[-1] == "2 cores <of> one & the same"
    # Nothing stands below the picture's edge.
    assert max(float(text.get("y", 0)) for text in drawn.iter(space + "text")) < float(drawn.get("height", 0))


def test_the_table_has_a_title_for_each_of_its_workloads_and_files_that_exist() -> None:
    assert [workload.name for workload in workloads.TABLE] == list(workloads.TITLES)
    assert all(workload.script.is_file() for workload in [*workloads.TABLE, *workloads.WORKLOADS])
    assert workloads.chosen([], True) == workloads.TABLE
    kinds = {"hello": 3, "large": 1, "hello-busy": 1, "list": 2, "mixed": 0}
    assert {kind: len(workloads.chosen([kind], False)) for kind in kinds} == kinds


@pytest.mark.parametrize("results", ['{"rows": [], "machine": ["here"]}'])
def test_the_picture_is_made_from_a_file(results: str, tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text(results)
    command = [sys.executable, BENCH / "beside" / "picture.py", tmp_path / "results.json", tmp_path / "picture.svg"]
    subprocess.run(command, check=True)
    assert xml.parse(tmp_path / "picture.svg").getroot().tag.endswith("svg")


def test_a_run_is_put_into_the_documents_again_and_again(tmp_path: Path) -> None:
    for folder in ("design", "pictures"):
        (tmp_path / folder).mkdir()
    page = tmp_path / publish.PAGE
    page.write_text(f"before\n{publish.BEGIN}\nold\n{publish.END}\nafter\n")
    for number in range(2):
        publish.publish({"rows": ROWS, "machine": ["2 cores", f"run {number}"]}, tmp_path)
    text = page.read_text()
    assert text.startswith("before\n") and text.endswith("\nafter\n") and "old" not in text and "run 0" not in text
    assert text.index("beside-others.svg") < text.index("run 1") < text.index("| hello ") < text.index("Not measured:") < text.index(publish.END)
    assert json.loads((tmp_path / publish.RESULTS).read_text())["rows"] == ROWS
    assert "run 1" in (tmp_path / publish.PICTURE).read_text()
    page.write_text("a page without marks")
    with pytest.raises(ValueError, match="lacks the lines"):
        publish.publish({"rows": [], "machine": ["here"]}, tmp_path)


def test_the_tree_has_a_place_for_a_run() -> None:
    page = (publish.DOCS / publish.PAGE).read_text()
    assert page.count(publish.BEGIN) == page.count(publish.END) == 1


def test_no_round_begins_that_would_last_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    # Each look at the clock, one per round, finds it 100 s on.
    clock = iter(range(0, 1000, 100))
    monkeypatch.setattr(bench, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    assert list(bench.rounds_in(9, 5.5)) == [0, 1, 2]
    assert list(bench.rounds_in(2, None)) == [0, 1]
    # The first one is done in any case.
    assert list(bench.rounds_in(9, 0.1)) == [0]
