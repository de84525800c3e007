"""Certificates as files: refused at the start, replaced while requests run, kept when the new ones are wrong; and their end, as it is told."""

from __future__ import annotations

import http.client
import re
import ssl
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import harness
import pytest
from harness import until
from running import Gilkeeper

HERE = Path(__file__).resolve().parent
DAY = 86400
CONF = """
Listen 127.0.0.1:%(tls)s https
WSGIDaemonProcess site processes=1 threads=4
WSGIScriptAlias / ${APP}/mixed.py process-group=site application-group=%%{GLOBAL}
<VirtualHost *:%(tls)s>
    ServerName localhost
    SSLEngine On
    SSLCertificateFile %(files)s/live.pem
    SSLCertificateKeyFile %(files)s/live.key
</VirtualHost>
"""


def make(folder: Path, name: str, days: int = 90) -> None:
    new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=localhost"]
    names = ["-addext", "subjectAltName=DNS:localhost"]
    files = ["-keyout", f"{name}.key", "-out", f"{name}.pem"]
    command = ["openssl", "req", "-x509", *new, *names, "-days", str(days), *files]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    (folder / f"{name}.key").chmod(0o600)


def put(folder: Path, certificate: str, key: str | None = None) -> None:
    """Makes the links lead there, as certbot does."""
    for kind, name in (("pem", certificate), ("key", key or certificate)):
        new = folder / f"new.{kind}"
        new.symlink_to(f"{name}.{kind}")
        new.replace(folder / f"live.{kind}")


def shown(port: int) -> bytes:
    """The certificate that a new connection gets."""
    return ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("127.0.0.1", port), timeout=20)).strip()


def of(folder: Path, name: str) -> bytes:
    return ssl.PEM_cert_to_DER_cert((folder / f"{name}.pem").read_text())


@pytest.fixture
def started(gilkeeper: Callable[..., Gilkeeper], tmp_path: Path) -> tuple[Gilkeeper, int, Path]:
    make(tmp_path, "first")
    put(tmp_path, "first")
    port = harness.free_port()
    server = gilkeeper([HERE / "mixed.py"], CONF % {"tls": port, "files": tmp_path}, admin=harness.free_port())
    return server, port, tmp_path


def metric(server: Gilkeeper) -> float:
    connection = http.client.HTTPConnection("127.0.0.1", server.admin or 0, timeout=20)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    found = re.search(r'(?m)^gilkeeper_certificate_expiry_seconds\{.*\} (\S+)$', text)
    return float(found[1]) if found else 0.0


def test_certificates_are_replaced_under_load(started: tuple[Gilkeeper, int, Path]) -> None:
    server, port, folder = started
    over, failed, served = threading.Event(), list[str](), [0]

    def load() -> None:
        context = ssl._create_unverified_context()  # noqa: S323
        while not over.is_set():
            try:
                connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=20, context=context)
                for _ in range(5):
                    connection.request("GET", "/")
                    answer = connection.getresponse()
                    answer.read()
                    assert answer.status == 200, answer.status
                    served[0] += 1
                connection.close()
            except (OSError, http.client.HTTPException, AssertionError) as why:
                failed.append(repr(why))

    threads = [threading.Thread(target=load) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for number in range(3):
            make(folder, f"new{number}")
            put(folder, f"new{number}")
            until(lambda number=number: shown(port) == of(folder, f"new{number}"), "the new certificate is served", 20)
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert not failed and served[0] > 50, (failed[:5], served)
    until(lambda: server.log().count("certificates replaced: ") == 3, "the log has a line for each", 10)


def test_a_wrong_certificate_changes_nothing(started: tuple[Gilkeeper, int, Path]) -> None:
    server, port, folder = started
    make(folder, "second")
    put(folder, "second", "first")
    until(lambda: "the new certificates are not used, those before stay: the private key" in server.log(), "the log says why", 20)
    assert shown(port) == of(folder, "first")
    told = server.tell("reload")
    assert told.returncode == 1 and "does not belong to the certificate" in told.stdout + told.stderr
    assert shown(port) == of(folder, "first")
    put(folder, "second")
    until(lambda: shown(port) == of(folder, "second"), "the repaired one is served", 20)
    assert server.tell("reload").returncode == 0 and shown(port) == of(folder, "second")
    assert server.log().count("the new certificates are not used") == 1


def test_the_end_of_a_certificate_is_told(started: tuple[Gilkeeper, int, Path]) -> None:
    server, port, folder = started
    assert server.status()["certificates"][0]["days_left"] in (89, 90)
    until(lambda: 89 * DAY < metric(server) <= 90 * DAY, "the metric has the time")
    make(folder, "short", days=10)
    put(folder, "short")
    until(lambda: shown(port) == of(folder, "short"), "the new certificate is served", 20)
    until(lambda: metric(server) <= 10 * DAY, "the metric follows")
    told = server.tell("status").stdout
    assert f"certificate {folder}/live.pem (localhost) expires in 9 days" in told, told


def test_a_wrong_file_ends_the_start_with_one_sentence(tmp_path: Path) -> None:
    make(tmp_path, "first")
    make(tmp_path, "second")
    put(tmp_path, "first", "second")
    conf = CONF.replace("${APP}", str(HERE))
    file = tmp_path / "site.conf"
    file.write_text("GilkeeperAdmin off\n" + conf % {"tls": harness.free_port(), "files": tmp_path})
    start = [harness.gilkeeper(), "serve", "-c", str(file), "--server-root", str(tmp_path / "root")]
    ended = subprocess.run(start, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    sentence = f"the private key {tmp_path}/live.key does not belong to the certificate {tmp_path}/live.pem"
    assert ended.returncode == 2 and ended.stderr.strip() == f"gilkeeper: {sentence}", ended.stderr
    checked = subprocess.run([harness.gilkeeper(), "check", "-c", str(file)], capture_output=True, text=True, timeout=60)
    assert checked.returncode == 2 and f"error: {sentence}" in checked.stdout, checked.stdout
    put(tmp_path, "first")
    checked = subprocess.run([harness.gilkeeper(), "check", "-c", str(file)], capture_output=True, text=True, timeout=60)
    assert checked.returncode == 0 and "speaks: TLSv1.2 TLSv1.3" in checked.stdout, checked.stdout
