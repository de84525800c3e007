"""Certificates as files: refused at the start, replaced while requests run, kept when the new ones are wrong; and their end, as it is told."""

from __future__ import annotations

import http.client
import os
import re
import signal
import ssl
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import harness
import pytest
from harness import until
from running import Gilkeeper

Start = Callable[..., Gilkeeper]
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
    return ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("127.0.0.1", port), timeout=20))


def of(folder: Path, name: str) -> bytes:
    return ssl.PEM_cert_to_DER_cert((folder / f"{name}.pem").read_text())


@pytest.fixture
def started(gilkeeper: Start, tmp_path: Path) -> tuple[Gilkeeper, int, Path]:
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


def end_of(folder: Path, name: str) -> float:
    """The end of a certificate in seconds since 1970."""
    command = ["openssl", "x509", "-noout", "-enddate", "-in", f"{name}.pem"]
    said = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout
    return ssl.cert_time_to_seconds(said.partition("=")[2].strip())


def check_told(server: Gilkeeper, folder: Path, name: str) -> None:
    """Status and metric have the end of that certificate, each as soon as it knows."""
    end = end_of(folder, name)

    def agree() -> bool:
        # A day may be over while the server is asked.
        days = [int((end - time.time()) // DAY)]
        told, text = server.status()["certificates"][0]["days_left"], server.tell("status").stdout
        days.append(int((end - time.time()) // DAY))
        lines = [f"certificate {folder}/live.pem (localhost) expires in {left} days" for left in days]
        return told in days and any(line in text for line in lines)

    until(agree, "the status has the days that are left")
    until(lambda: abs(metric(server) - (end - time.time())) < 60, "the metric has the time that is left")


def test_certificates_are_replaced_under_load(started: tuple[Gilkeeper, int, Path]) -> None:
    """Twenty times: by a reload, and where the files alone change; no request fails, and none is served with a mixture."""
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
        for number in range(20):
            name = f"new{number}"
            make(folder, name)
            put(folder, name)
            if number % 5:
                told = server.tell("reload")
                assert told.returncode == 0, told.stderr
                assert shown(port) == of(folder, name)
            else:
                until(lambda name=name: shown(port) == of(folder, name), "the new certificate is served", 20)
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert not failed and served[0] > 50, (failed[:5], served)
    # Those before a reload may be seen by themselves.
    until(lambda: server.log().count("certificates replaced: ") >= 4, "the log has a line for each that was seen by itself")


def test_a_wrong_certificate_changes_nothing(started: tuple[Gilkeeper, int, Path]) -> None:
    server, port, folder = started
    workers = server.wait_workers(1)
    make(folder, "second", days=30)
    put(folder, "second", "first")
    until(lambda: "the new certificates are not used, those before stay: the private key" in server.log(), "the log says why", 20)
    assert shown(port) == of(folder, "first")
    told = server.tell("reload")
    assert told.returncode == 1 and "does not belong to the certificate" in told.stdout + told.stderr
    assert (shown(port), server.workers()) == (of(folder, "first"), workers)
    check_told(server, folder, "first")
    put(folder, "second")
    until(lambda: shown(port) == of(folder, "second"), "the repaired one is served", 20)
    check_told(server, folder, "second")
    assert server.tell("reload").returncode == 0 and shown(port) == of(folder, "second")
    server.wait_log("the new certificates are not used")
    assert server.log().count("the new certificates are not used") == 1


def test_the_end_of_a_certificate_is_told(started: tuple[Gilkeeper, int, Path]) -> None:
    server, port, folder = started
    check_told(server, folder, "first")
    make(folder, "short", days=10)
    put(folder, "short")
    until(lambda: shown(port) == of(folder, "short"), "the new certificate is served", 20)
    check_told(server, folder, "short")


def odd(folder: Path, name: str) -> None:
    """Puts a date that is none into a certificate: rustls does not read it, and whoever asks for the names and dates of clients does."""
    der = bytearray(ssl.PEM_cert_to_DER_cert((folder / f"{name}.pem").read_text()))
    dates = re.search(rb"\x17\x0d\d{12}Z\x17\x0d\d{12}Z", der)
    assert dates is not None
    der[dates.end() - 1] = ord("X")
    (folder / "odd.pem").write_text(ssl.DER_cert_to_PEM_cert(bytes(der)))


def test_an_authority_that_cannot_be_used_is_refused_before_anything_changes(gilkeeper: Start, tmp_path: Path) -> None:
    """Reported: `reload` was done, with exit status 0, and new workers served with the old configuration, since the front had refused
    an authority of client certificates; at the start the front could not be started (1)."""
    for name in ("first", "known"):
        make(tmp_path, name)
    odd(tmp_path, "known")
    put(tmp_path, "first")
    (tmp_path / "people.pem").symlink_to("known.pem")
    port = harness.free_port()
    asks = f"SSLCACertificateFile {tmp_path}/people.pem\nSSLVerifyClient optional\n</VirtualHost>"
    conf = (CONF % {"tls": port, "files": tmp_path}).replace("</VirtualHost>", asks)
    server = gilkeeper([HERE / "mixed.py"], conf)
    workers = server.wait_workers(1)
    (tmp_path / "new").symlink_to("odd.pem")
    (tmp_path / "new").replace(tmp_path / "people.pem")
    why = f"{tmp_path}/people.pem contains a certificate that cannot be an authority: "
    until(lambda: f"the new certificates are not used, those before stay: {why}" in server.log(), "the log says why", 20)
    told = server.tell("reload")
    assert told.returncode == 1 and why in told.stdout + told.stderr, (told.stdout, told.stderr)
    assert server.workers() == workers and shown(port) == of(tmp_path, "first")
    # A front that is started later gets what this one has.
    front = server.front()
    os.kill(front, signal.SIGKILL)
    until(lambda: (there := server.status()["front"]) and there["pid"] not in (None, front), "another front serves", 20)
    assert shown(port) == of(tmp_path, "first")
    # At a start, and before one.
    file = server.root / "server.conf"
    start = [harness.gilkeeper(), "serve", "-c", str(file), "--server-root", str(tmp_path / "root"), "--admin", "off"]
    ended = subprocess.run(start, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    assert ended.returncode == 2 and ended.stderr.startswith(f"gilkeeper: {why}") and ended.stderr.count("\n") == 1, ended.stderr
    checked = subprocess.run([harness.gilkeeper(), "check", "-c", str(file)], capture_output=True, text=True, timeout=60)
    assert checked.returncode == 2 and f"error: {why}" in checked.stdout, checked.stdout


STOPS = """
import os
import pathlib
import signal

named = pathlib.Path(__file__).with_name("front.pid")
if named.exists():
    os.kill(int(named.read_text()), signal.SIGSTOP)
    named.unlink()


def application(environ, start_response):
    start_response("200 OK", [("Content-Length", "0")])
    return []
"""


def test_a_front_that_does_not_take_the_new_configuration_ends_the_reload(gilkeeper: Start, tmp_path: Path) -> None:
    """Reported with the one above: the front was not asked. Here it hangs when the new worker is there, and is replaced."""
    (tmp_path / "stops.py").write_text(STOPS)
    mount = "WSGIScriptAlias / ${APP}/stops.py process-group=site application-group=%{GLOBAL}"
    server = gilkeeper([tmp_path / "stops.py"], f"GilkeeperFrontTimeout 4\nWSGIDaemonProcess site threads=4\n{mount}\n")
    workers = server.wait_workers(1)
    (server.root / "app/front.pid").write_text(str(server.front()))
    told = server.tell("reload")
    why = "reload refused, the old workers stay: the front ended before it had taken the new configuration"
    assert told.returncode == 1 and why in told.stdout + told.stderr, (told.stdout, told.stderr)
    assert server.ask("/").status == 200 and server.workers() == workers
    assert server.tell("reload").returncode == 0 and server.workers() != workers


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
