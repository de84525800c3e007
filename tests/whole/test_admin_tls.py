"""TLS of the admin pages with certificates that openssl made: a client certificate replaces the token."""

from __future__ import annotations

import http.client
import re
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import harness
import pytest
from running import Gilkeeper

HERE = Path(__file__).resolve().parent


def openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two authorities, each with a server's and a client's certificate: `good-client.pem` with `good-client.key`."""
    folder = tmp_path_factory.mktemp("certificates")
    for authority in ("good", "other"):
        new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        usage = ["-addext", "keyUsage=critical,keyCertSign,cRLSign"]
        files = ["-keyout", f"{authority}.key", "-out", f"{authority}.pem"]
        openssl(folder, "req", "-x509", *new, *usage, "-subj", f"/CN={authority}", "-days", "2", *files)
        for name in ("server", "client"):
            file = f"{authority}-{name}"
            openssl(folder, "req", *new, "-subj", f"/CN={name}", "-keyout", f"{file}.key", "-out", f"{file}.csr")
            (folder / "extensions").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\nauthorityKeyIdentifier=keyid\n")
            sign = ["-CA", f"{authority}.pem", "-CAkey", f"{authority}.key", "-CAcreateserial", "-days", "2", "-extfile", "extensions"]
            openssl(folder, "x509", "-req", "-in", f"{file}.csr", *sign, "-out", f"{file}.pem")
    return folder


def started(gilkeeper: Callable[..., Gilkeeper], certificates: Path, more: str = "") -> tuple[Gilkeeper, int]:
    """A server with admin pages on all addresses, which therefore ask for a token."""
    port = harness.free_port()
    tls = f"GilkeeperAdminTLS certificate={certificates}/good-server.pem key={certificates}/good-server.key {more}"
    arguments = ["{app}/mixed.py", "--set", f"GilkeeperAdmin 0.0.0.0:{port}", "--set", tls]
    server = gilkeeper([HERE / "mixed.py"], arguments=arguments)
    return server, port


@pytest.fixture(autouse=True)
def _admin_by_directive(monkeypatch: pytest.MonkeyPatch) -> None:
    """`--admin` would beat the directive."""
    command = Gilkeeper.command
    monkeypatch.setattr(Gilkeeper, "command", lambda self: command(self)[:-2])


def ask(port: int, certificates: Path, client: str | None, headers: dict[str, str] | None = None) -> tuple[int, str]:
    context = ssl.create_default_context(cafile=str(certificates / "good.pem"))
    if client:
        context.load_cert_chain(certificates / f"{client}.pem", certificates / f"{client}.key")
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=20, context=context)
    try:
        connection.request("GET", "/metrics", headers=headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def test_a_client_certificate_stands_for_the_token(gilkeeper: Callable[..., Gilkeeper], certificates: Path) -> None:
    server, port = started(gilkeeper, certificates, f"client-ca={certificates}/good.pem")
    status, text = ask(port, certificates, "good-client")
    assert status == 200 and "gilkeeper_build_info" in text
    status, text = ask(port, certificates, None)
    assert status == 401 and "a token is needed" in text
    token = (server.server_root / "admin.token").read_text().strip()
    assert ask(port, certificates, None, {"Authorization": f"Bearer {token}"})[0] == 200
    # One of another authority is refused in the handshake; a foreign page is refused even with the right one.
    with pytest.raises((ssl.SSLError, OSError)):
        ask(port, certificates, "other-client")
    assert ask(port, certificates, "good-client", {"Origin": "https://evil.example"})[0] == 403
    # Plain HTTP is no TLS.
    with pytest.raises((http.client.HTTPException, OSError)):
        plain = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        try:
            plain.request("GET", "/metrics")
            plain.getresponse()
        finally:
            plain.close()
    curl = ["curl", "-sS", "--cacert", "good.pem", "--cert", "good-client.pem", "--key", "good-client.key"]
    told = subprocess.run([*curl, f"https://localhost:{port}/api/v1/status"], cwd=certificates, capture_output=True, text=True, timeout=30)
    assert told.returncode == 0 and '"workers":' in told.stdout, told
    harness.until(lambda: f"https://127.0.0.1:{port}/" in server.console(), "the banner names the address", 20)
    assert "speak TLS" in server.tell("top", "--once").stderr


def test_without_authorities_only_the_token_opens(gilkeeper: Callable[..., Gilkeeper], certificates: Path) -> None:
    _, port = started(gilkeeper, certificates)
    assert ask(port, certificates, None)[0] == 401
    assert ask(port, certificates, "good-client")[0] == 401


def test_bad_files_are_one_sentence(certificates: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("")
    good = {"certificate": f"{certificates}/good-server.pem", "key": f"{certificates}/good-server.key"}
    for changed, says in (
        ({"certificate": f"{tmp_path}/missing.pem"}, "the certificate .*missing.pem cannot be read: No such file"),
        ({"certificate": f"{tmp_path}/empty.pem"}, "contains no certificate in PEM form"),
        ({"certificate": f"{certificates}/good-server.key"}, "contains no certificate in PEM form"),
        ({"key": f"{certificates}/good-server.pem"}, "the private key .* cannot be read: it is not in PEM form, or contains something else"),
        ({"key": f"{certificates}/other-server.key"}, "do not match"),
        ({"client-ca": f"{tmp_path}/empty.pem"}, "contains no certificate in PEM form"),
    ):
        options = " ".join(f"{name}={path}" for name, path in (good | changed).items())
        command = [harness.gilkeeper(), "serve", str(HERE / "mixed.py"), "--port", "0", "--server-root", str(tmp_path / "root")]
        command += ["--admin", "127.0.0.1:0", "--set", f"GilkeeperAdminTLS {options}"]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL)
        assert ended.returncode == 2 and ended.stderr.count("\n") == 1, ended
        found = re.search(says, ended.stderr)
        assert found and "GilkeeperAdminTLS" in ended.stderr, ended.stderr
