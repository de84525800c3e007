"""scripts/side_by_side.py, which runs the rings: order, places, output, and an end that leaves no process; what runs on which engine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import harness
import pytest

sys.path.insert(0, str(harness.REPOSITORY / "scripts"))
import rings  # noqa: E402
from side_by_side import Job, Lane, Result, SideBySide, marked  # noqa: E402


def job(name: str, script: str, *needs: Job, lane: Lane = Lane.WAITS) -> Job:
    return Job(name, ["bash", "-c", script], Path("/"), needs=list(needs), lane=lane)


def results(jobs: list[Job], folder: Path, places: int = 2) -> dict[str, Result]:
    return SideBySide(jobs, folder, places, lambda result: None).run()


def test_each_file_runs_in_embedded_mode_or_has_a_reason() -> None:
    files = {file.name for file in Path(__file__).parent.glob("test_*.py")}
    assert files == {*rings.EMBEDDED, *rings.NOT_IN_EMBEDDED}
    assert not set(rings.EMBEDDED) & set(rings.NOT_IN_EMBEDDED)


def test_a_job_runs_after_what_it_needs_and_not_without_it(tmp_path: Path) -> None:
    first = job("first", f"echo 1 >{tmp_path}/first")
    second = job("second", f"cat {tmp_path}/first; echo told", first)
    broken = job("broken", "echo why; exit 3")
    absent = Job("absent", ["/no/such/command"], Path("/"))
    after = job("after", "echo never", broken)
    last = job("last", "echo never", after)
    ended = results([last, after, second, broken, first, absent], tmp_path)
    assert {name: (one.status, one.broken and one.broken.name) for name, one in ended.items()} == {
        "first": (0, None),
        "second": (0, None),
        "broken": (3, None),
        "absent": (127, None),
        "after": (0, "broken"),
        "last": (0, "broken"),
    }
    assert ended["second"].text() == "1\ntold\n" and ended["broken"].text() == "why\n" and ended["after"].text() == ""


@pytest.mark.parametrize(
    ("lane", "places", "at_once"),
    [(Lane.WAITS, 3, 3), (Lane.WAITS, 1, 1), (Lane.BUILDS, 3, 1), (Lane.ALONE, 3, 1)],
)
def test_so_many_run_at_once(tmp_path: Path, lane: Lane, places: int, at_once: int) -> None:
    """Each job sees how many are there. With a place for all, each waits for the others to come, so that all are seen."""
    for folder in ("came", "here"):
        (tmp_path / folder).mkdir()
    wait = f"while [ $(ls {tmp_path}/came | wc -l) -lt 3 ]; do sleep 0.01; done; " if at_once == 3 else ""
    script = f"touch {tmp_path}/here/$$ {tmp_path}/came/$$; {wait}ls {tmp_path}/here | wc -l; rm {tmp_path}/here/$$"
    jobs = [job(f"job {number}", script, lane=lane) for number in range(3)]
    seen = [int(one.text()) for one in results(jobs, tmp_path / "logs", places).values()]
    assert max(seen) == at_once, seen


def test_alone_is_after_all_others(tmp_path: Path) -> None:
    order = tmp_path / "order"
    jobs = [job("alone", f"echo alone >>{order}", lane=Lane.ALONE), job("build", f"echo other >>{order}", lane=Lane.BUILDS)]
    results([*jobs, job("wait", f"echo other >>{order}")], tmp_path)
    assert order.read_text().split() == ["other", "other", "alone"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_every_process(tmp_path: Path, number: signal.Signals) -> None:
    """Also one that listens to nobody and has left its group."""
    script = f"""
import sys
sys.path.insert(0, {str(harness.REPOSITORY / "scripts")!r})
from pathlib import Path
import rings  # noqa: E402
from side_by_side import Job, SideBySide
deaf = "trap '' INT TERM; touch {tmp_path}/deaf; while true; do sleep 1; done"
polite = "trap 'echo ended; exit 0' INT; touch {tmp_path}/polite; setsid bash -c \\"$0\\" & while true; do sleep 0.05; done"
SideBySide([Job("polite", ["bash", "-c", polite, deaf], Path("/"))], Path({str(tmp_path)!r}), 2, print).run()
"""
    runner = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE, text=True)
    harness.until(lambda: (tmp_path / "deaf").exists() and (tmp_path / "polite").exists(), "both run", 20)
    left = marked(runner.pid)
    assert len(left) >= 2
    runner.send_signal(number)
    _, errors = runner.communicate(timeout=40)
    assert runner.returncode != 0 and "KeyboardInterrupt" in errors
    assert not marked(runner.pid)
    harness.until(lambda: not [pid for pid in left if os.path.exists(f"/proc/{pid}")], "their ends are noticed")
    assert (tmp_path / "polite.log").read_text() == "ended\n"
