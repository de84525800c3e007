"""scripts/again.py: a case that fails beside others and passes alone is named; one that fails alone, too, has failed."""

from __future__ import annotations

import sys
from pathlib import Path

import harness
import pytest

sys.path.insert(0, str(harness.REPOSITORY / "scripts"))
from again import MOST, asked_again, command_for, failed_cases  # noqa: E402
from counts import counts_of  # noqa: E402
from rings import Ring  # noqa: E402
from side_by_side import SideBySide  # noqa: E402

CASES = """
from pathlib import Path
import pytest

SEEN = Path(__file__).with_name("seen")
INNER = "=== short test summary info ===\\nFAILED test_it.py::test_inner - KeyError\\n1 failed in 4.06s\\n"

# The end of the first case fails as well.
@pytest.fixture
def with_end():
    before = SEEN.exists()
    SEEN.touch()
    yield
    assert before

@pytest.mark.parametrize("word", ["a word", "b"])
def test_fails_once(word, with_end):
    mark = SEEN.with_name(f"seen {word}")
    before = mark.exists()
    mark.touch()
    # What a case that ran pytest shows of it.
    print(INNER)
    assert before, INNER

def test_passes():
    pass

def test_fails():
    assert BROKEN == 0
"""


def ring_of(folder: Path, broken: int) -> Ring:
    (folder / "test_it.py").write_text(CASES.replace("BROKEN", str(broken)))
    return Ring("it", [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"], folder)


@pytest.mark.parametrize("ci", ["true", None])
@pytest.mark.parametrize(("broken", "passed", "failed"), [(0, 4, 0), (1, 1, 4)])
def test_what_fails_alone_too_has_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: int, passed: int, failed: int, ci: str | None
) -> None:
    # Under it pytest's summary holds whole messages.
    monkeypatch.setenv("CI", ci) if ci else monkeypatch.delenv("CI", raising=False)
    ring = ring_of(tmp_path, broken)
    results = SideBySide([ring], tmp_path / "logs", 1, lambda result: None).run()
    counts = {"it": counts_of(ring, results["it"])}
    assert (counts["it"].passed, counts["it"].failed) == (2 - broken, 3 + broken)
    named = asked_again([ring], results, counts, tmp_path / "logs")
    assert named == ([] if broken else ["it test_it.py::test_fails_once[a word]", "it test_it.py::test_fails_once[b]"])
    assert (counts["it"].passed, counts["it"].failed) == (passed, failed)


def test_many_failures_are_no_accident(tmp_path: Path) -> None:
    ring = Ring("it", [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"], tmp_path)
    (tmp_path / "test_it.py").write_text(CASES.replace('["a word", "b"]', f"range({MOST})"))
    results = SideBySide([ring], tmp_path / "logs", 1, lambda result: None).run()
    counts = {"it": counts_of(ring, results["it"])}
    assert asked_again([ring], results, counts, tmp_path / "logs") == [] and counts["it"].failed == MOST + 2


def test_failures_of_rust_tests_are_read() -> None:
    ring = Ring("rust", ["with-python", "3.14", "cargo", "nextest", "run", "--workspace", "-E", "package(gk-python)"], Path("/"))
    text = """
        FAIL [   9.567s] ( 23/134) gk-python::blame functions_have_their_shares
     TIMEOUT [ 120.004s] (134/134) gk-front links::tests::ends
     Summary [ 121.0s] 134 tests run: 132 passed, 1 failed, 1 timed out, 0 skipped
        FAIL [   9.567s] ( 23/134) gk-python::blame functions_have_their_shares
"""
    cases = failed_cases(ring, text)
    assert cases == ["gk-python::blame functions_have_their_shares", "gk-front links::tests::ends"]
    command = command_for(ring, cases)
    assert command[:4] == ["with-python", "3.14", "cargo", "nextest"]
    assert command[-1] == (
        "(binary_id(=gk-python::blame) & test(=functions_have_their_shares)) | (binary_id(=gk-front) & test(=links::tests::ends))"
    )
