"""Makes a configuration of the corpus runnable: its folders, scripts, certificates and ports.

The configurations are kept as they are found in the world. Their paths are moved below the scenario's folder and their
ports to free ones; everything that they name is made. No test is in here.
"""

from __future__ import annotations

import base64
import hashlib
import re
import subprocess
from pathlib import Path

import harness

HERE = Path(__file__).parent
NAMES = sorted(path.stem for path in HERE.glob("*.conf"))
# Where the configurations have their files.
MOVED = re.compile(r"(?<![\w./])/(?=(?:srv|var/log|var/www|etc/ssl|etc/pki|etc/pulp)\b)")
SCRIPT = '''"""Says which script it is, how its URL was split, and where it runs."""

import os


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    keys = ("SCRIPT_NAME", "PATH_INFO", "mod_wsgi.process_group", "mod_wsgi.application_group")
    return ["|".join([os.path.basename(__file__), *(environ[key] for key in keys)]).encode("latin-1")]
'''
WORDS = re.compile(r'"([^"]*)"|(\S+)')


def words(line: str) -> list[str]:
    return [quoted or bare for quoted, bare in WORDS.findall(line)]


class Site(harness.Server):
    """A server on one configuration."""

    modules = harness.MODULES + (
        " access_compat authn_core authn_file auth_basic authz_host authz_user authz_groupfile headers socache_shmcb ssl"
    )

    def __init__(self, name: str) -> None:
        super().__init__([], (HERE / f"{name}.conf").read_text().replace("\\\n", " "), f"corpus-{name}")
        self.text = (self.root / "site.conf").read_text()
        self.ports = {wanted: harness.free_port() for wanted in self.wanted_ports()}
        self.has_listen = re.search(r"(?m)^Listen ", self.text) is not None
        if not self.ports:
            self.ports = {"80": self.port}
        self.port = self.ports[next(iter(self.ports))]
        moved = self.moved()
        (self.root / "site.conf").write_text(moved)
        self.make(moved)

    def wanted_ports(self) -> list[str]:
        """The ports in the order of their lines."""
        found = re.findall(r"(?m)^(?:Listen|<VirtualHost) (?:\S*:)?(\d+)", self.text)
        return list(dict.fromkeys(found))

    def speaks_tls(self, port: str) -> bool:
        hosts = re.findall(r"(?ms)^<VirtualHost \S+:(\d+)>\n(.*?)^</VirtualHost>", self.text)
        return any(port == of and re.search(r"(?mi)^SSLEngine on", lines) for of, lines in hosts)

    def moved(self) -> str:
        """The configuration with its paths and ports moved."""
        lines = []
        for line in self.text.splitlines():
            if re.match(r"\s*(?:Listen|<VirtualHost|ServerName)\b", line):
                line = re.sub(r"(?<=[ :])(\d+)(?=>|$)", lambda port: str(self.ports.get(port[1], port[1])), line)
            line = MOVED.sub(f"{self.root}/fs/", line)
            # Each server has the Python that it was made for.
            lines.append(re.sub(r"(WSGIPythonHome |python-home=)\S+/srv/venv\b", rf"\g<1>{self.python_home()}", line))
        return "\n".join(lines) + "\n"

    def python_home(self) -> Path:
        return Path(harness.gilkeeper()).parent.parent if self.under_test == "ours" else harness.peers()

    def make(self, text: str) -> None:
        """Everything that the configuration names."""
        for folder in ("fs/var/log", "fs/srv", "fs/etc/ssl", "run"):
            (self.root / folder).mkdir(parents=True, exist_ok=True)
        handler_folders = re.findall(r'<Directory "?([^">]+?)/?"?>\n(?:[^<]*\n)*?SetHandler wsgi-script', text)
        for line in text.splitlines():
            name, *rest = words(line) or [""]
            match name:
                case "WSGIScriptAlias" | "WSGIScriptAliasMatch":
                    self.script(re.sub(r"\$\d.*", "", rest[1]))
                case "WSGIImportScript":
                    self.script(rest[0])
                case "Alias" if any(rest[1].startswith(folder) for folder in handler_folders):
                    self.script(rest[1])
                case "Alias" | "ScriptAlias":
                    self.static(rest[1])
                case "DocumentRoot":
                    self.static(rest[0] + "/")
                case "SSLCertificateFile" | "SSLCACertificateFile" | "SSLCertificateChainFile":
                    self.certificate(Path(rest[0]))
                case "AuthUserFile":
                    digest = base64.b64encode(hashlib.sha1(b"secret").digest()).decode()
                    Path(rest[0]).write_text(f"user:{{SHA}}{digest}\n")
        for path in (self.root / "fs").rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)

    def script(self, path: str) -> None:
        file = Path(path.rstrip("/"))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(SCRIPT)

    def static(self, path: str) -> None:
        place = Path(path)
        if place.suffix in (".txt", ".ico", ".png"):
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(f"{place.name}\n")
            return
        place.mkdir(parents=True, exist_ok=True)
        (place / "file.txt").write_text(f"in {place.name}\n")

    def certificate(self, path: Path) -> None:
        """A certificate, and the key beside it that the configurations name."""
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            return
        keys = path.with_suffix(".key")
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        command += ["-subj", "/CN=localhost", "-days", "2", "-keyout", str(keys), "-out", str(path)]
        subprocess.run(command, check=True, capture_output=True)

    def configuration(self) -> str:
        lines = [
            "ServerName localhost",
            f"ErrorLog {self.error_log}",
            "LogLevel info",
            f"Define APACHE_LOG_DIR {self.root}/fs/var/log",
            f"Include {self.root}/site.conf",
        ]
        named = re.findall(r"<VirtualHost \S+:\d+>", self.text)
        # A distribution keeps Apache's `Listen` elsewhere; ours takes the ports of the virtual hosts.
        if not self.has_listen and (self.under_test != "ours" or not named):
            lines[:0] = [f"Listen {port}" for port in self.ports.values()]
        if self.under_test == "ours":
            return "\n".join(lines) + "\n"
        return self.apache_head() + "\n".join(lines) + "\n"
