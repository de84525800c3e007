"""Wheels by their names, and a CPython to run each of them with."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import harness

SCRIPTS = harness.REPOSITORY / "scripts"
NAME = re.compile(r"gilkeeper-(?P<version>[^-]+)-cp3(?P<minor>\d+)-cp3\d+(?P<threaded>t?)-(?P<system>\w+?)_(?P<machine>x86_64|aarch64)\.whl")


@dataclass(frozen=True)
class Wheel:
    path: Path
    # `manylinux_2_28`, `musllinux_1_2`, or `linux` for this machine alone.
    system: str
    machine: str
    # `3.14t`.
    python: str

    @property
    def musl(self) -> bool:
        return self.system.startswith("musllinux")

    @property
    def extension(self) -> str:
        """The extension module's file, as a CPython of that kind looks for it."""
        tag = "cpython-" + self.python.replace(".", "")
        return f"gilkeeper/_native.{tag}-{self.machine}-linux-{'musl' if self.musl else 'gnu'}.so"

    @property
    def emulated(self) -> bool:
        return self.machine != platform.machine()

    @property
    def free_threaded(self) -> bool:
        return self.python.endswith("t")

    def __str__(self) -> str:
        return f"{self.python}-{self.system}_{self.machine}"


def wheel(path: Path) -> Wheel:
    # Compressed tags name a policy twice.
    found = NAME.fullmatch(re.sub(r"\.many\w+(?=\.whl)", "", path.name))
    assert found, f"{path.name} is no wheel of Gilkeeper's"
    return Wheel(path, found["system"], found["machine"], f"3.{found['minor']}{found['threaded']}")


FOLDER = harness.REPOSITORY / os.environ.get("GILKEEPER_WHEELS", "target/wheels")


@cache
def wheels() -> list[Wheel]:
    """Those below the folder in GILKEEPER_WHEELS; of CPythons in GILKEEPER_PYTHONS, if that is set."""
    only = os.environ.get("GILKEEPER_PYTHONS", "").split()
    found = [wheel(path) for path in sorted(FOLDER.rglob("*.whl"))]
    return [one for one in found if not only or one.python in only]


def source() -> Path | None:
    """The newest source distribution beside the wheels, if there is one."""
    return max(FOLDER.glob("gilkeeper-*.tar.gz"), key=lambda path: path.stat().st_mtime, default=None)


@cache
def python(one: Wheel) -> str | None:
    """A CPython that runs it: one of `make pythons`, Debian's for ARM in an emulator, or none."""
    if one.musl:
        return None
    script = "arm64-python" if one.emulated else "python-of"
    told = subprocess.run([SCRIPTS / script, one.python], stdout=subprocess.PIPE, text=True, check=True)
    return told.stdout.strip() or None


def install(one: Wheel, folder: Path) -> list[str]:
    """Installs it into a new virtual environment, without a network, a compiler, or anything else on the PATH; gives the command."""
    runs = python(one)
    assert runs
    commands = folder / "bin"
    alone = {"PATH": str(commands), "HOME": str(folder)}
    if not one.emulated:
        subprocess.run([runs, "-m", "venv", folder], env=alone, check=True)
        pip = [commands / "python", "-m", "pip", "install", "--quiet", "--no-index", "--disable-pip-version-check", one.path]
        subprocess.run(pip, env=alone, check=True)
        return [str(commands / "gilkeeper")]
    # By hand, as pip takes minutes in an emulator; this machine's pip looks at the wheel's tags for another one.
    commands.mkdir(parents=True)
    (commands / "python").symlink_to(runs)
    (folder / "pyvenv.cfg").write_text(f"home = {Path(runs).parent}\ninclude-system-site-packages = false\n")
    packages = folder / "lib" / f"python{one.python}" / "site-packages"
    like = ["--platform", f"{one.system}_{one.machine}", "--python-version", one.python, "--only-binary", ":all:"]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--disable-pip-version-check", "--target", packages, *like, one.path]
    subprocess.run(pip, env=alone, check=True)
    return [str(commands / "python"), "-m", "gilkeeper"]


def get_applications(one: Wheel, commands: Path) -> None:
    """Installs what the guide's pages need beside a wheel, once, without a network: scripts/wheelhouse has got it before, for this CPython."""
    if (commands / "django-admin").exists():
        return
    runs = python(one)
    assert runs
    files = [f"{harness.REPOSITORY}/apps/{name}/requirements.txt" for name in ("django_site", "site")]
    told = subprocess.run([SCRIPTS / "wheelhouse", runs, *files], stdout=subprocess.PIPE, text=True, check=True)
    wanted = [f"--requirement={file}" for file in files]
    quiet = ["--quiet", "--disable-pip-version-check", "--root-user-action=ignore", "--no-compile"]
    pip = [commands / "python", "-m", "pip", "install", *quiet, "--no-index", f"--find-links={told.stdout.strip()}", *wanted]
    subprocess.run(pip, env={"PATH": str(commands)}, check=True)


class Installed(harness.Server):
    """A server of an installed wheel."""

    def __init__(self, command: list[str], files: list[Path], conf: str) -> None:
        super().__init__(files, conf, "wheel", "ours")
        self.started_with = command

    def command(self) -> list[str]:
        place = ["-c", str(self.root / "server.conf"), "--server-root", str(self.root / "server-root"), "--admin", "off"]
        return [*self.started_with, "serve", *place]
