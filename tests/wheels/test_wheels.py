"""Wheels: what is in them, and that a Python without a compiler installs them, serves and measures."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from zipfile import ZipFile

import harness
import pytest
from wheels import Installed, Wheel

HERE = Path(__file__).parent

SHARED = """
WSGIDaemonProcess one threads=4{MORE}
WSGIScriptAlias /shared ${APP}/application.py process-group=one application-group=%{GLOBAL}
"""
OWN = """
<WSGIInterpreterOptions process-group=one>
    WSGIPerInterpreterGIL On
</WSGIInterpreterOptions>
WSGIScriptAlias /own ${APP}/application.py process-group=one application-group=own
"""


def test_one_extension_module_of_the_right_name(wheel: Wheel) -> None:
    with ZipFile(wheel.path) as packed:
        names = packed.namelist()
        tags = [name for name in names if name.endswith("/WHEEL")]
        told = packed.read(tags[0]).decode()
    assert [name for name in names if name.endswith(".so")] == [wheel.extension]
    # Nothing that pip would have to fetch, and no library of another project's beside it.
    assert not [name for name in names if not re.match(r"gilkeeper(/|-[^/]*\.dist-info/|-[^/]*\.data/)", name)]
    assert "Root-Is-Purelib: false" in told and f"{wheel.system}_{wheel.machine}" in told


def test_the_system_s_unwinder_is_used_where_glibc_uses_it(wheel: Wheel, tmp_path: Path) -> None:
    """glibc unwinds a thread that ends with its own libgcc_s; a second unwinder, linked in, would be handed its records."""
    with ZipFile(wheel.path) as packed:
        file = packed.extract(wheel.extension, tmp_path)
    told = subprocess.run(["readelf", "--wide", "--dynamic", "--dyn-syms", file], capture_output=True, text=True, check=True).stdout
    needed = set(re.findall(r"\(NEEDED\).*\[(.*)\]", told))
    if wheel.musl:
        assert needed == {f"libc.musl-{wheel.machine}.so.1"}, needed
        return
    assert "libgcc_s.so.1" in needed, needed
    unwinding = re.findall(r"(\w+)\s+_Unwind_\w+", told)
    assert unwinding and set(unwinding) == {"UND"}, told


def test_other_machines_can_take_it(wheel: Wheel) -> None:
    """By PyPI's auditwheel. Not for a wheel of this machine alone. `scripts/wheels` says how large each is."""
    if wheel.system == "linux":
        assert wheel.path.name.endswith(f"-linux_{wheel.machine}.whl")
        return
    auditwheel = [os.environ["GILKEEPER_WHEEL_TOOLS"], "-m", "auditwheel", "show", str(wheel.path)]
    told = subprocess.run(auditwheel, capture_output=True, text=True, check=True).stdout
    assert f'"{wheel.system}_{wheel.machine}"' in " ".join(told.split()), told


def test_it_serves_and_measures(wheel: Wheel, serve: Callable[..., Installed], installed: list[str]) -> None:
    own = not wheel.free_threaded and wheel.python != "3.11"
    # A worker in an emulator needs longer than a worker may.
    more = " free-threading=on" * wheel.free_threaded + " connect-timeout=300 shutdown-timeout=60" * wheel.emulated
    server = serve([HERE / "application.py"], SHARED.replace("{MORE}", more) + OWN * own)
    patience = 120.0 if wheel.emulated else 30.0

    def ask(target: str) -> dict:
        answer = server.ask(target, timeout=patience)
        assert answer.status == 200, (answer, server.log())
        return answer.json

    modes = {"/shared": "free-threading" if wheel.free_threaded else "shared", **({"/own": "own"} if own else {})}
    for mount, mode in modes.items():
        seen = ask(f"{mount}/")
        assert (seen["python"], seen["machine"], seen["gil_mode"]) == (wheel.python, wheel.machine, mode)
        ask(f"{mount}/figures")

        def waited() -> bool:
            with ThreadPoolExecutor(3) as pool:
                list(pool.map(ask, [f"{mount}/burn"] * 3))
            figures = ask(f"{mount}/figures")["figures"]
            if wheel.free_threaded:
                return figures["gil_wait_count"] == 0
            assert figures["gil_wait_exact"] is True, server.log()
            return figures["gil_wait_count"] > 0

        harness.until(waited, f"threads of {mount} wait for each other", patience)
    told = subprocess.run(
        [*installed, "load", f"http://127.0.0.1:{server.port}/shared/", "--duration", "1"],
        env={"PATH": str(Path(installed[0]).parent)},
        capture_output=True,
        text=True,
        timeout=patience,
    )
    assert told.returncode == 0, told
    assert server.stop() == 0, server.log()
    assert not server.alarms()


def test_man_finds_the_pages_beside_the_command(wheel: Wheel, installed: list[str]) -> None:
    """`share/man` of the prefix: man looks there for what it finds in `bin`."""
    with ZipFile(wheel.path) as packed:
        pages = {Path(name).name for name in packed.namelist() if name.endswith(".1")}
    assert {"gilkeeper.1", "gilkeeper-serve.1", "gilkeeper-telemetry-serve.1"} <= pages
    if wheel.emulated:
        # Nothing of that is another machine's, and pip has put it elsewhere (see `install`).
        return
    commands = Path(installed[0]).parent
    environment = {"PATH": f"{commands}:/usr/bin:/bin", "HOME": str(commands), "MANPAGER": "cat", "LC_ALL": "C.UTF-8"}
    for page in sorted(pages):
        found = subprocess.run(["man", "--where", Path(page).stem], env=environment, capture_output=True, text=True)
        assert found.stdout.strip() == str(commands.parent / "share/man/man1" / page), found
    shown = subprocess.run(["man", "gilkeeper-serve"], env=environment, capture_output=True, text=True)
    assert shown.returncode == 0 and "--processes" in re.sub(".\b", "", shown.stdout), shown


@pytest.mark.parametrize(
    ("rust", "told"),
    [
        (None, "cargo or rustc is missing. Rust 1.95 or newer builds Gilkeeper."),
        ("rustc 1.94.1 (0123456 2026-01-01)", "this is Rust 1.94.1. Rust 1.95 or newer builds Gilkeeper."),
    ],
)
def test_a_build_says_which_rust_it_needs(rust: str | None, told: str, tmp_path: Path) -> None:
    commands = tmp_path / "bin"
    commands.mkdir()
    for name in ("bash", "dirname", "sed", "cut", "sort", "head", "printf", "mkdir"):
        (commands / name).symlink_to(next(path for path in (f"/usr/bin/{name}", f"/bin/{name}") if os.path.exists(path)))
    if rust:
        for name in ("cargo", "rustc"):
            (commands / name).write_text(f"#!/bin/sh\necho '{rust}'\n")
            (commands / name).chmod(0o755)
    script = harness.REPOSITORY / "scripts/wheel"
    ended = subprocess.run([script, sys.executable, "here", tmp_path / "wheels"], env={"PATH": str(commands)}, capture_output=True, text=True)
    assert ended.returncode == 1 and told in ended.stderr and "rustup.rs" in ended.stderr, ended
