"""The completion scripts in the shells that they are for, and the manual page in man."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import harness
import pytest

ASK = {
    "bash": 'source "$0"; COMP_WORDS=(gilkeeper serve --thr); COMP_CWORD=2; _gilkeeper gilkeeper --thr serve; printf "%s\\n" "${COMPREPLY[@]}"',
    "fish": 'source $argv[1]; complete -C "gilkeeper serve --thr"',
    # Completion of zsh needs a terminal; that it reads the script and knows the function is what can be asked without one.
    "zsh": 'autoload -U compinit; compinit -u -D; source "$0"; functions _gilkeeper | grep -o -- --threads | head -1; echo $_comps[gilkeeper]',
}


def said(*words: str) -> str:
    done = subprocess.run([harness.gilkeeper(), *words], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done
    return done.stdout


@pytest.mark.parametrize("shell", ASK)
def test_a_shell_completes_options_of_serve(shell: str, tmp_path: Path) -> None:
    assert shutil.which(shell), f"{shell} is missing; scripts/packages {shell}"
    script = tmp_path / f"completion.{shell}"
    script.write_text(said("completion", shell))
    quiet = ["-f"] if shell == "zsh" else []
    command = [shell, *quiet, "-c", ASK[shell], str(script)]
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "TERM": "dumb"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, env=environment)
    assert "--threads" in done.stdout and not done.stderr, done
    if shell == "zsh":
        assert "_gilkeeper" in done.stdout.splitlines(), done


def test_help_and_version_name_what_people_ask_for() -> None:
    assert said("help", "serve") == said("serve", "--help")
    version = said("--version").splitlines()
    assert version[0].startswith("gilkeeper ") and version[1].startswith("CPython 3.") and version[2].startswith("built for "), version
    overview = said("--help")
    assert all(f"\n  {name} " in overview for name in ("serve", "check", "status", "help")), overview
