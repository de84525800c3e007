"""Whether `gilkeeper doctor` says of a package what the tries say, in each mode and by each way in which its script imports the package."""

from __future__ import annotations

import re
from typing import Any

WORKS = "works"
# The doctor's modes, with the cells of ours that each is about.
MODES = {"sub-interpreter": ["first", "second"], "own-gil": ["own-gil"], "free-threading": ["free"]}
# How the script imports: where it begins, lazily (CPython 3.15), inside a function.
WAYS = {
    "eager": lambda imports: imports,
    "lazy": lambda imports: re.sub(r"^(import|from)", r"lazy \1", imports, flags=re.M),
    "inside": lambda imports: "",
}
IN_WORDS = {"eager": "imported by the script", "lazy": "imported lazily", "inside": "imported inside a function"}


def compared(row: dict[str, Any]) -> tuple[int, list[str]]:
    """How many of the doctor's verdicts there are tries for, and those that say otherwise."""
    found, asked_for = [], 0
    for way, verdicts in row.get("doctor", {}).items():
        for mode, cells in MODES.items():
            known = [row["cells"][name] for name in cells if name in row["cells"]]
            if not known:
                continue
            asked_for += 1
            wanted = "safe" if all(one == WORKS for one in known) else "unsafe"
            if verdicts.get(mode) != wanted:
                found.append(f"{mode}, imported {way}: the doctor says {verdicts.get(mode) or verdicts}, the tries say {', '.join(known)}")
    return asked_for, found


def agreement(rows: dict[str, dict[str, Any]]) -> str:
    """In how many of its verdicts the doctor says what the tries say; nothing where it was not asked."""
    told = []
    for way in WAYS:
        of = [compared({**row, "doctor": {way: row["doctor"][way]}}) for row in rows.values() if way in row.get("doctor", {})]
        if of:
            verdicts, differ = sum(number for number, _ in of), sum(len(found) for _, found in of)
            told.append(f"{verdicts - differ} of {verdicts} verdicts on {len(of)} packages, {IN_WORDS[way]}")
    return "; ".join(told)
