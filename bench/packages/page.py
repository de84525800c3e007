"""docs/reference/packages.md out of what was tried. `gilkeeper doctor --explain` reads its rows from that page."""

from __future__ import annotations

import re
from typing import Any

from agreement import agreement
from table import PACKAGES, Package

HEAD = """# Packages in each mode

What packages that web applications use do in each kind of interpreter. `gilkeeper doctor --explain PACKAGE` prints the rows of one package;
[`gilkeeper doctor`](../guide/doctor.md) judges an application with the versions that it has.

`scripts/packages-by-mode` wrote this page: it installs the newest wheel of each package, and imports and uses it in a process for each
kind of interpreter.

| column | |
|---|---|
| sub-interpreter, a second one | application groups other than `%{GLOBAL}` that share the GIL: the first such interpreter of a process, and another one after it |
| own GIL | [`WSGIPerInterpreterGIL On`](../guide/per-interpreter-gil.md) |
| no GIL | [`WSGIFreeThreading On`](../guide/free-threading.md) |

| word | |
|---|---|
| works | as in the main interpreter, C part included |
| without its C part | Python code does the work, slower and without a message |
| does not load | the import raises |
| fails in use | the import succeeds, and a use raises |
| ends the process, hangs | the import or a use does |
| does not end | it works, and then its interpreter cannot be ended |
| GIL on | it works, and turns the GIL on for the process |

In the main interpreter, `WSGIApplicationGroup %{GLOBAL}`, all of these work. *No wheel* under *version*: there was none for that CPython,
and packages are not built from source here.
Where the only wheel for it is Python code (protobuf, ruamel.yaml on a free-threaded build), that is what works.
"""
BUILD = ", free-threaded build"
TITLES = {"first": "sub-interpreter", "second": "a second one", "own-gil": "own GIL", "free": "no GIL"}


def page(order: list[str], stored: dict[str, dict[str, dict[str, Any]]], present: str) -> str:
    """The page, of the rows of each CPython by the name that scripts/pythons has for it; one without rows has the part of the present page."""
    text = [HEAD.rstrip(), modules(PACKAGES)]
    for name, rows in stored.items():
        others = [other for also, other in stored.items() if also != name]
        rows = {package: row | none_for(row, [other[package] for other in others if package in other]) for package, row in rows.items()}
        part = table(name, order, rows) if rows else of_page(name, present)
        text += [part.rstrip()] if part else []
    return "\n\n".join(text) + "\n"


# Modules that several distributions share: the names below them tell these apart.
SHARED = ("google", "opentelemetry", "ruamel", "zope")


def imported(package: Package) -> list[str]:
    """The modules that a package is imported as, without those within them."""
    found = re.match(r"(?:import|from) ([\w., ]+?)(?: import .*)?$", package.imports)
    names = [name.strip().split(".") for name in found[1].split(",")] if found else []
    return sorted({".".join(parts[: 2 if parts[0] in SHARED else 1]) for parts in names})


def modules(packages: list[Package]) -> str:
    """The table of the modules that do not have their package's name."""
    plain = re.compile(r"[-_.]").sub
    rows = [
        f"| {module} | {package.name} |"
        for package in packages
        for module in imported(package)
        if plain("-", module).lower() != plain("-", package.name.partition("[")[0]).lower()
    ]
    return "\n".join(["Where the module to import has another name than the package:", "", "| module | package |", "|---|---|", *sorted(rows, key=str.lower)])


def none_for(row: dict[str, Any], others: list[dict[str, Any]]) -> dict[str, Any]:
    """What makes a row one without a wheel: an installer goes back to old releases, and what it found does not even import there."""
    old = "main" in row and any(other["version"] not in (None, row["version"]) for other in others)
    return {"version": None, "main": None, "cells": {}} if old else {}


def of_page(name: str, present: str) -> str:
    """The part of a page about one CPython; nothing if it has none."""
    free = re.escape(BUILD) if name.endswith("t") else ""
    found = re.search(rf"^## CPython {re.escape(name.rstrip('t'))}\.[^,\n]*{free}\n.*?(?=^## |\Z)", present, re.M | re.S)
    return found[0] if found else ""


def table(name: str, order: list[str], rows: dict[str, dict[str, Any]]) -> str:
    dates = sorted({row["date"] for row in rows.values()})
    when = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    version = ", ".join(sorted({row["cpython"] for row in rows.values()})) + (BUILD if name.endswith("t") else "")
    agrees = agreement(rows)
    asked = f"\nAsked about the same, `gilkeeper doctor` agrees in {agrees}.\n" if agrees else ""
    columns = [one for one in TITLES if any(one in row["cells"] for row in rows.values())]
    text = [f"## CPython {version}\n\nTried on {when}.\n{asked}"]
    text.append("| package | version | " + " | ".join(TITLES[one] for one in columns) + " |\n|---|---|" + "---|" * len(columns))
    for package in sorted((one for one in order if one in rows), key=str.lower):
        row = rows[package]
        cells = [row["cells"].get(one, "-") for one in columns]
        if row.get("main"):
            cells = ["not in the main interpreter either"] * len(columns)
        text.append(f"| {package} | {row['version'] or 'no wheel'} | " + " | ".join(cells) + " |")
    return "\n".join(text)
