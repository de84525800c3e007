"""What the source distribution has to hold, from the tree alone."""

from __future__ import annotations

import re
import tomllib

import harness


def test_each_file_that_the_sources_include_is_in_it() -> None:
    """Met: a page outside of the crates was not, so pip could not build it."""
    root = harness.REPOSITORY
    listed = {entry["path"] for entry in tomllib.loads((root / "pyproject.toml").read_text())["tool"]["maturin"]["include"]}
    included = {
        (source.parent / path).resolve().relative_to(root)
        for source in root.glob("crates/*/src/**/*.rs")
        for path in re.findall(r'include_(?:str|bytes)!\("([^"]+)"\)', source.read_text())
    }
    assert included
    missing = [str(path) for path in included if path.parts[0] not in ("crates", "python") and str(path) not in listed]
    assert not missing, missing
