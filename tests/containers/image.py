"""deploy/Containerfile without a container runtime: its stages as bare roots, its RUN commands in them, and its last stage as a
process in namespaces of its own, with everything read-only but the state folder."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import harness
from playing import DEPLOY

# Of this machine in place of the base image: its system, and the Python that the server was built for.
SYSTEM = ("usr", "etc")
LINKS = ("bin", "lib", "lib64", "sbin")


@dataclass
class Stage:
    """A stage of a Containerfile: the instructions after its FROM, in order."""

    name: str
    instructions: list[tuple[str, str]] = field(default_factory=list)

    def values(self, word: str) -> list[str]:
        return [text for found, text in self.instructions if found == word]


def stages(text: str) -> list[Stage]:
    found: list[Stage] = []
    arguments: dict[str, str] = {}
    lines = re.sub(r"\\\n", " ", re.sub(r"^\s*#.*\n", "", text, flags=re.M))
    for line in filter(None, map(str.strip, lines.splitlines())):
        word, _, rest = line.partition(" ")
        rest = re.sub(r"\$\{(\w+)\}", lambda name: arguments.get(name[1], ""), rest.strip())
        if word == "ARG":
            name, _, value = rest.partition("=")
            arguments[name] = value
        elif word == "FROM":
            found.append(Stage(rest.partition(" AS ")[2]))
        else:
            found[-1].instructions.append((word, rest))
    return found


def python_home() -> Path:
    """The prefix of the Python that runs the server under test."""
    command = [Path(harness.gilkeeper()).parent / "python", "-c", "import sys; print(sys.base_prefix)"]
    return Path(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip())


class BareRoot:
    """A root folder: this machine's system without its homes, variable data and devices."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.python = folder, python_home()
        for name in (*SYSTEM, "proc", "dev", "tmp", "state", str(self.python).lstrip("/")):
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / "tmp").chmod(0o1777)
        (folder / "state").rmdir()
        for name in LINKS:
            if Path("/", name).is_symlink():
                (folder / name).symlink_to(os.readlink(f"/{name}"))
        for name in ("null", "zero", "urandom"):
            (folder / "dev" / name).touch()

    def mounts(self, read_only: bool) -> str:
        """Shell lines that make the root in a mount namespace."""
        root = str(self.folder)
        lines = ["set -e", "mount --make-rprivate /", f"mount --bind {root} {root}"]
        for name in (*SYSTEM, str(self.python).lstrip("/")):
            lines += [f"mount --bind /{name} {root}/{name}", f"mount -o remount,bind,ro {root}/{name}"]
        lines += [f"mount --bind /dev/{name} {root}/dev/{name}" for name in ("null", "zero", "urandom")]
        lines.append(f"mount -t proc proc {root}/proc")
        if read_only:
            lines.append(f"mount -t tmpfs -o mode=0700,uid=10001,gid=10001 state {root}/state")
            # As a secret is mounted: a file in the state folder that cannot be written to.
            lines += [f"touch {root}/state/admin.token", f"mount --bind {root}/token {root}/state/admin.token"]
            lines.append(f"mount -o remount,bind,ro {root}")
        return "\n".join(lines) + "\n"

    def inside(self, environment: dict[str, str], command: list[str], user: str, cwd: str) -> list[str]:
        """The command in the root, as `user`, with nothing of this machine's environment."""
        given = [f"{name}={value}" for name, value in environment.items()]
        return ["chroot", f"--userspec={user}", str(self.folder), "env", "-i", "-C", cwd, *given, *command]

    def run(self, command: str, environment: dict[str, str]) -> None:
        """A RUN command: as root, and what is not the system's can be written."""
        chroot = self.inside(environment, ["sh", "-c", command], "0:0", "/")
        script = self.mounts(False) + 'exec "$@"\n'
        isolated = ["unshare", "--mount", "--pid", "--fork", "sh", "-c", script, "sh", *chroot]
        done = subprocess.run(isolated, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"

    def start(self, command: list[str], environment: dict[str, str], cwd: str) -> list[str]:
        """A command line that runs the image's command as process 1 of namespaces of its own, as user 10001, read-only."""
        chroot = self.inside(environment, command, "10001:10001", cwd)
        script = self.mounts(True) + 'exec "$@"\n'
        return ["unshare", "--mount", "--pid", "--fork", "--kill-child=KILL", "sh", "-c", script, "sh", *chroot]


def wheel(folder: Path) -> Path:
    """The wheel that was installed for the tests, put together again from its own record: the first stage would build one."""
    package = subprocess.run(
        [Path(harness.gilkeeper()).parent / "python", "-c", "import gilkeeper; print(gilkeeper.__path__[0])"],
        capture_output=True,
        text=True,
        check=True,
        cwd="/",
    ).stdout.strip()
    site = Path(package).parent
    [info] = site.glob("gilkeeper-*.dist-info")
    tag = next(line.split(" ")[1] for line in (info / "WHEEL").read_text().splitlines() if line.startswith("Tag: "))
    made = folder / f"{info.name.removesuffix('.dist-info')}-{tag}.whl"
    names = [line.split(",")[0] for line in (info / "RECORD").read_text().splitlines()]
    left_out = ("INSTALLER", "REQUESTED", "direct_url.json", "RECORD")
    names = [name for name in names if not name.startswith("..") and not name.endswith(".pyc") and Path(name).name not in left_out]
    with zipfile.ZipFile(made, "w") as archive:
        for name in names:
            archive.write(site / name, name)
        record = "".join(f"{name},,\n" for name in [*names, f"{info.name}/RECORD"])
        archive.writestr(f"{info.name}/RECORD", record)
    return made


def copied(text: str, roots: dict[str, BareRoot], root: BareRoot) -> None:
    """COPY, from this tree or from another stage."""
    words = text.split()
    source = harness.REPOSITORY
    if words[0].startswith("--from="):
        source = roots[words.pop(0).removeprefix("--from=")].folder
    [name, target] = words
    found, destination = source / name.lstrip("/"), root.folder / target.lstrip("/")
    if found.is_dir():
        shutil.copytree(found, destination, symlinks=True, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(found, destination)


class Image:
    """The last stage, built: its root, its environment and its commands."""

    def __init__(self, folder: Path) -> None:
        first, *others = stages((DEPLOY / "Containerfile").read_text())
        roots = {first.name: BareRoot(folder / "wheel")}
        wheels = roots[first.name].folder / "wheels"
        wheels.mkdir()
        wheel(wheels)
        for stage in others:
            self.root = roots[stage.name or "image"] = BareRoot(folder / (stage.name or "image"))
            self.stage, path = stage, f"{self.root.python}/bin:/usr/bin:/bin"
            self.environment = {"PATH": path}
            for word, text in stage.instructions:
                if word == "COPY":
                    copied(text, roots, self.root)
                elif word == "RUN":
                    self.root.run(text, self.environment)
                elif word == "ENV":
                    given = dict(pair.split("=", 1) for pair in text.split())
                    # The image's Python is in /usr/local/bin.
                    self.environment |= {name: value.replace("/usr/local/bin", f"{self.root.python}/bin") for name, value in given.items()}
        [self.cwd] = self.stage.values("WORKDIR")

    def words(self, instruction: str) -> list[str]:
        [text] = self.stage.values(instruction)
        return list(json.loads(text[text.index("[") :]))


def usable() -> str:
    """Why this machine cannot do it; empty where it can."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        return "namespaces and a root of its own need root"
    probe = ["unshare", "--mount", "--pid", "--fork", "sh", "-c", "mount --make-rprivate / && mount -t tmpfs probe /mnt"]
    done = subprocess.run(probe, capture_output=True, text=True)
    return "" if done.returncode == 0 else f"this machine allows no namespaces: {done.stderr.strip()}"
