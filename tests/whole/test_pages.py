"""Every command and every block of directives in the README and the documents is one that this version understands.

Pages that are transcripts are run by test_first_hour.py, others by tests of their own; here each page is asked, also those that need a
cluster or a night.
"""

from __future__ import annotations

import itertools
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import harness
import pytest

DOCS = harness.REPOSITORY / "docs"
PAGES = [harness.REPOSITORY / "README.md", *sorted(DOCS.rglob("*.md"))]
BLOCK = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.M | re.S)
COMMAND = re.compile(r"(?:^|[\s/])gilkeeper ((?:[a-z]|-).*)")
# Its commands are the wrong ones.
WRONG = DOCS / "reference/mistakes.md"


def commands(text: str) -> Iterator[str]:
    """What stands behind `gilkeeper` in the text of a page, in blocks and in sentences."""
    for _, block in BLOCK.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            yield from COMMAND.findall(line)
    for code in re.findall(r"`([^`]+)`", BLOCK.sub("", text)):
        yield from re.findall(r"^gilkeeper (.*)", " ".join(code.split()))


def words(command: str) -> list[str]:
    """The words of one command, without a comment, a pipe, or what stands for more: `…`, `[OPTIONS]`."""
    lexer = shlex.shlex(re.sub(r"\[[A-Z][^\]]*\]|…", "", command), posix=True, punctuation_chars=";&|<>")
    lexer.whitespace_split, lexer.commenters = True, "#"
    return list(itertools.takewhile(lambda word: not set(word) <= set(";&|<>"), lexer))


def refused(command: list[str]) -> str:
    """Why the product does not understand a command; empty if it does. Help ends it before anything happens."""
    help = [] if command[0] == "help" else ["--help"]
    # An option without its value, as in a sentence about it.
    for more in ([], ["X"]):
        done = subprocess.run([harness.gilkeeper(), *command, *more, *help], capture_output=True, text=True, timeout=60)
        if done.returncode == 0:
            return ""
        if "a value is required" not in done.stderr:
            break
    return f"{shlex.join(command)}: {done.stderr.strip()}"


def test_every_command_of_the_pages_is_known() -> None:
    found = {command for page in PAGES if page != WRONG for command in commands(page.read_text())}
    split = {tuple(words(command)) for command in found} - {()}
    assert len(split) > 80
    wrong = [why for command in sorted(split) if (why := refused(list(command)))]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("page", sorted((DOCS / "guide").glob("*.md")), ids=lambda page: page.stem)
def test_directives_of_the_guide_are_understood(page: Path, tmp_path: Path) -> None:
    for kind, text in BLOCK.findall(page.read_text()):
        if kind == "apache":
            (tmp_path / "site.conf").write_text(text.replace("…", "x"))
            done = subprocess.run([harness.gilkeeper(), "check", "-c", "site.conf"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
            assert done.returncode == 0, done.stdout + done.stderr
