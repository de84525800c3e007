"""An application twice: mounted by its site.conf in Gilkeeper, and alone under waitress, on copies of the same files."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import harness
from running import Gilkeeper

HERE = Path(__file__).resolve().parent
SITES = HERE / "sites"


def home() -> Path:
    """The virtual environment with the applications, waitress and the clients that are Python packages."""
    made = subprocess.run([harness.REPOSITORY / "scripts/cache-dir"], capture_output=True, text=True, check=True)
    folder = Path(os.environ.get("APPLICATIONS_HOME", made.stdout.strip() + "/applications"))
    assert (folder / "bin/python").exists(), f"there is no {folder}; run scripts/test applications, which makes it."
    return folder


class Site:
    """One folder of sites/: `site.conf` says which script stands at which URL; `made` is what a test has made beside it."""

    def __init__(self, name: str, made: Path | None = None, processes: int = 2) -> None:
        self.name, self.processes = name, processes
        self.files = [SITES / name, *([made] if made else [])]
        self.conf = SITES / name / "site.conf"
        mount = re.search(r"^\s*WSGIScriptAlias\s+(\S+)\s+\$\{APP\}/(\S+)", self.conf.read_text(), re.MULTILINE)
        assert mount, f"{self.conf} mounts nothing"
        self.url, self.script = mount[1], mount[2]


class Ours(Gilkeeper):
    """Gilkeeper with the site's configuration; its workers run the applications' Python. `certificate`: it speaks TLS with it."""

    def __init__(self, site: Site, certificate: Path | None = None) -> None:
        super().__init__(site.files, site.conf.read_text(), name=site.name)
        self.site, self.certificate, self.keep_trying = site, certificate, False

    def configuration(self) -> str:
        tls = "" if self.certificate is None else f"SSLEngine On\nSSLCertificateFile {self.certificate}\n"
        return f"Define APPLICATIONS {home()}\nProtocols h2 h2c http/1.1\n{tls}" + super().configuration()

    def start(self) -> Ours:
        super().start()
        # Beside other work an import takes longer than a request waits for a worker.
        harness.until(lambda: len(self.workers()) == self.site.processes, "every worker has imported its application", 90)
        return self


class Waitress(harness.Server):
    """The same script under waitress, with the folder of the files on the module path."""

    def __init__(self, site: Site) -> None:
        super().__init__(site.files, "", site.name, "waitress")
        self.site = site
        self.extra_environment["PYTHONPATH"] = str(self.root / "app")

    def configuration(self) -> str:
        return ""

    def command(self) -> list[str]:
        script = str(self.root / "app" / self.site.script)
        return [str(home() / "bin/python"), "-P", str(HERE / "waitress_server.py"), str(self.port), self.site.url, script]

    def accepts(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise harness.Unusable(f"waitress ended with {self.process.returncode} at its start:\n{self.console()}")
        try:
            self.connect(1.0).close()
        except OSError:
            return False
        return True
