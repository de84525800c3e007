"""TLS by mod_ssl's directives: what applications are told, which host answers, and who is refused."""

from __future__ import annotations

import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import client
import harness
import pytest

HERE = Path(__file__).resolve().parent
KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
USAGE = ["-addext", "keyUsage=critical,keyCertSign,cRLSign"]
NAMES = {
    "a": ("/C=AT/O=Smith, Sons/OU=one/OU=two/CN=a.example/emailAddress=a@example.org", "DNS:a.example,DNS:*.wild.example,email:a@example.org"),
    "b": ("/CN=b.example", "DNS:b.example"),
    "client": ("/C=DE/O=Kunde/CN=Max Müller/UID=max", "email:max@example.org,otherName:1.3.6.1.4.1.311.20.2.3;UTF8:max@corp"),
}


def openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def make(folder: Path) -> None:
    """An authority, two servers and a client, and a client that nobody knows."""
    openssl(folder, "req", "-x509", *KEY, "-subj", "/O=Test/CN=ca", "-days", "2", *USAGE, "-keyout", "ca.key", "-out", "ca.pem")
    openssl(folder, "req", "-x509", *KEY, "-subj", "/CN=self", "-days", "2", "-keyout", "self.key", "-out", "self.pem")
    for name, (subject, alternatives) in NAMES.items():
        openssl(folder, "req", "-utf8", *KEY, "-subj", subject, "-keyout", f"{name}.key", "-out", f"{name}.csr")
        (folder / "extensions").write_text(f"subjectAltName={alternatives}\nauthorityKeyIdentifier=keyid\n")
        sign = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "extensions"]
        openssl(folder, "x509", "-req", "-in", f"{name}.csr", *sign, "-out", f"{name}.pem")


class WithTls(harness.Server):
    modules = f"{harness.MODULES} socache_shmcb ssl"

    def __init__(self) -> None:
        super().__init__([harness.APPS / "probes.py", HERE], "", "tls")
        self.tls_port = harness.free_port()
        text = (HERE / "site.conf").read_text()
        (self.root / "site.conf").write_text(f"Define TLS_PORT {self.tls_port}\n{text}")
        make(self.root / "app")

    def over_tls(
        self, target: str, name: str | None = "a.example", host: str | None = None, own: str | None = None, most: str | None = None
    ) -> client.Response:
        """The answer to a request; the name of the hello, the `Host`, the client's certificate and the highest version can be said."""
        with self.tls(name, own, most) as connection:
            connection.send(f"GET {target} HTTP/1.1\r\nHost: {host or name}\r\nConnection: close\r\n\r\n".encode())
            return connection.response()

    def tls(self, name: str | None, own: str | None = None, most: str | None = None) -> client.Connection:
        context = ssl.create_default_context(cafile=str(self.root / "app/ca.pem"))
        context.check_hostname = False
        if most:
            context.maximum_version = ssl.TLSVersion[most]
        if own:
            context.load_cert_chain(self.root / f"app/{own}.pem", self.root / f"app/{own}.key")
        raw = socket.create_connection(("127.0.0.1", self.tls_port), 10)
        connection = client.Connection.__new__(client.Connection)
        connection.socket, connection.buffer = context.wrap_socket(raw, server_hostname=name), b""
        return connection

    def environ(self, target: str, **given: Any) -> dict[str, Any]:
        return self.over_tls(target, **given).json["values"]


@pytest.fixture(scope="module")
def server() -> Iterator[WithTls]:
    under_test = WithTls()
    under_test.start()
    try:
        yield under_test
    finally:
        status = under_test.stop()
    if under_test.under_test == "ours":
        assert (status, under_test.alarms()) == (0, [])
    under_test.clean()


# Their values are of the moment, or name the implementation.
CHANGING = ("SSL_VERSION_", "SSL_SESSION_ID", "SSL_CLIENT_V_", "SSL_SERVER_V_", "SSL_CLIENT_M_SERIAL", "SSL_SERVER_M_SERIAL", "SSL_CLIENT_CERT_RFC")
OF_ALL = {
    "SSL_CIPHER": "TLS_AES_256_GCM_SHA384",
    "SSL_CIPHER_ALGKEYSIZE": "256",
    "SSL_CIPHER_EXPORT": "false",
    "SSL_CIPHER_USEKEYSIZE": "256",
    "SSL_COMPRESS_METHOD": "NULL",
    "SSL_PROTOCOL": "TLSv1.3",
    "SSL_SECURE_RENEG": "true",
    "SSL_SERVER_A_KEY": "id-ecPublicKey",
    "SSL_SERVER_A_SIG": "ecdsa-with-SHA256",
    "SSL_SERVER_I_DN": "CN=ca,O=Test",
    "SSL_SERVER_I_DN_CN": "ca",
    "SSL_SERVER_I_DN_O": "Test",
    "SSL_SERVER_M_VERSION": "3",
    "SSL_SERVER_SAN_DNS_0": "a.example",
    "SSL_SERVER_SAN_DNS_1": "*.wild.example",
    "SSL_SERVER_SAN_Email_0": "a@example.org",
    "SSL_SERVER_S_DN": "emailAddress=a@example.org,CN=a.example,OU=two,OU=one,O=Smith\\, Sons,C=AT",
    "SSL_SERVER_S_DN_C": "AT",
    "SSL_SERVER_S_DN_CN": "a.example",
    "SSL_SERVER_S_DN_Email": "a@example.org",
    "SSL_SERVER_S_DN_O": "Smith, Sons",
    "SSL_SERVER_S_DN_OU": "one",
    "SSL_SERVER_S_DN_OU_1": "two",
    "SSL_SESSION_RESUMED": "Initial",
    "SSL_TLS_SNI": "a.example",
}
OF_CLIENT = {
    "SSL_CLIENT_A_KEY": "id-ecPublicKey",
    "SSL_CLIENT_A_SIG": "ecdsa-with-SHA256",
    "SSL_CLIENT_I_DN": "CN=ca,O=Test",
    "SSL_CLIENT_I_DN_CN": "ca",
    "SSL_CLIENT_I_DN_O": "Test",
    "SSL_CLIENT_M_VERSION": "3",
    "SSL_CLIENT_SAN_Email_0": "max@example.org",
    "SSL_CLIENT_SAN_OTHER_msUPN_0": "max@corp",
    "SSL_CLIENT_S_DN": "UID=max,CN=Max Müller,O=Kunde,C=DE".encode().decode("latin-1"),
    "SSL_CLIENT_S_DN_C": "DE",
    "SSL_CLIENT_S_DN_CN": "Max Müller".encode().decode("latin-1"),
    "SSL_CLIENT_S_DN_O": "Kunde",
    "SSL_CLIENT_S_DN_UID": "max",
    "SSL_CLIENT_VERIFY": "SUCCESS",
}


def of_tls(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name.startswith("SSL_")}


@pytest.mark.parametrize("own", ["client", None])
def test_the_variables(server: WithTls, own: str | None) -> None:
    values = server.environ("/site/environ", own=own)
    found = {name: value for name, value in of_tls(values).items() if not name.startswith(CHANGING)}
    assert found == OF_ALL | (OF_CLIENT if own else {"SSL_CLIENT_VERIFY": "NONE"})
    assert (values["wsgi.url_scheme"], values["SERVER_PORT"], values["REQUEST_SCHEME"]) == ("https", "443", "https")
    assert "HTTPS" not in values
    changing = {name for name in of_tls(values) if name.startswith(CHANGING)}
    both = {"SSL_VERSION_INTERFACE", "SSL_VERSION_LIBRARY", "SSL_SESSION_ID", "SSL_SERVER_V_START", "SSL_SERVER_V_END", "SSL_SERVER_M_SERIAL"}
    of_client = {"SSL_CLIENT_V_START", "SSL_CLIENT_V_END", "SSL_CLIENT_V_REMAIN", "SSL_CLIENT_M_SERIAL", "SSL_CLIENT_CERT_RFC4523_CEA"}
    assert changing == both | (of_client if own else set())


def test_dates_and_numbers_are_openssls(server: WithTls) -> None:
    values = server.environ("/site/environ", own="client")
    asked = ["openssl", "x509", "-noout", "-in", str(server.root / "app/client.pem"), "-dates", "-serial"]
    told = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    lines = dict(line.split("=", 1) for line in told.splitlines())
    assert (values["SSL_CLIENT_V_START"], values["SSL_CLIENT_V_END"]) == (lines["notBefore"], lines["notAfter"])
    assert values["SSL_CLIENT_M_SERIAL"] == lines["serial"]
    number = int(lines["serial"], 16)
    assert values["SSL_CLIENT_CERT_RFC4523_CEA"] == f'{{ serialNumber {number}, issuer rdnSequence:"CN=ca,O=Test" }}'


def test_certificates_are_exported_where_they_are_wanted(server: WithTls) -> None:
    values = server.environ("/certificates/environ", own="client")
    for name, file in (("SSL_CLIENT_CERT", "client"), ("SSL_SERVER_CERT", "a")):
        assert values[name] == (server.root / f"app/{file}.pem").read_text()
    assert server.environ("/certificates/environ")["SSL_CLIENT_CERT"] == ""
    assert "SSL_CLIENT_CERT" not in server.environ("/site/environ", own="client")


def test_old_names_and_the_user(server: WithTls) -> None:
    values = server.environ("/old/environ", own="client")
    assert values["SSL_CLIENT_S_DN"] == "/C=DE/O=Kunde/CN=Max M\\xC3\\xBCller/UID=max"
    assert (values["REMOTE_USER"], values.get("AUTH_TYPE")) == ("max", "ClientCert")


def test_a_client_that_nobody_knows_is_told_of(server: WithTls) -> None:
    values = server.environ("/site/environ", own="self")
    assert (values["SSL_CLIENT_VERIFY"], values["SSL_CLIENT_S_DN"]) == ("FAILED:self-signed certificate", "CN=self")


def test_the_other_host_tells_the_name_alone(server: WithTls) -> None:
    assert of_tls(server.environ("/site/environ", name="b.example")) == {"SSL_TLS_SNI": "b.example"}


NAMES_AND_HOSTS: list[tuple[str | None, str, int]] = [
    ("a.example", "a.example", 200),
    ("x.wild.example", "x.wild.example", 200),
    ("unknown.example", "unknown.example", 200),
    (None, "a.example", 200),
    (None, "b.example", 421),
    ("a.example", "b.example", 421),
    ("b.example", "same-as-b.example", 200),
    ("b.example", "unknown.example", 421),
]


@pytest.mark.parametrize(("name", "host", "status"), NAMES_AND_HOSTS)
def test_a_request_for_another_host_is_misdirected(server: WithTls, name: str | None, host: str, status: int) -> None:
    assert server.over_tls("/site/environ", name=name, host=host).status == status


def test_a_misdirected_request_is_in_the_log_of_the_host_that_it_names(server: WithTls) -> None:
    assert server.over_tls("/misdirected", name="a.example", host="b.example").status == 421
    assert server.over_tls("/right", name="a.example").status == 404

    def lines() -> list[str]:
        log = server.root / "hosts.log"
        return [line for line in log.read_text().splitlines() if line.endswith(("/misdirected", "/right"))] if log.exists() else []

    harness.until(lambda: len(lines()) == 2, "both lines")
    # Several fronts write in any order.
    assert sorted(lines()) == ["a.example 404 /right", "b.example 421 /misdirected"]


def test_a_request_without_a_host_is_malformed(server: WithTls) -> None:
    with server.tls("a.example") as connection:
        connection.send(b"GET /site/environ HTTP/1.0\r\n\r\n")
        assert connection.response().status == 400


def test_rules_see_https_and_its_variables(server: WithTls) -> None:
    answer = server.over_tls("/site/environ", own="client")
    assert answer.get("X-Seen") == "TLSv1.3 Max Müller".encode().decode("latin-1")
    assert server.over_tls("/site/environ").get("X-Seen") == "TLSv1.3 (null)"
    assert server.over_tls("/for-https").get("Location") == "https://b.example/there"
    assert server.over_tls("/for-clients").status == 403
    assert server.over_tls("/for-clients", own="client").status == 404
    assert server.over_tls("/moved").get("Location") == "https://a.example/new"
    for place in ("/expression/environ", "/certified/environ"):
        assert server.over_tls(place).status == 403
        assert server.over_tls(place, own="client").status == 200


def test_places_for_tls(server: WithTls) -> None:
    assert server.ask("/site/environ").json["values"]["wsgi.url_scheme"] == "http"
    assert server.ask("/closed/environ").status == 403
    assert server.over_tls("/closed/environ").status == 200
    assert server.over_tls("/require-ssl/environ").status == 200
    assert server.ask("/require-ssl/environ").status == 403


def test_a_host_may_require_a_certificate(server: WithTls) -> None:
    assert server.over_tls("/site/environ", name="strict.example", own="client").status == 200
    for own in (None, "self"):
        with pytest.raises((ssl.SSLError, ConnectionError, AssertionError)):
            server.over_tls("/site/environ", name="strict.example", own=own)
    # Reported: below the default level nothing was said of a certificate that was shown and refused. Met when a user asks why.
    if harness.UNDER_TEST == "ours":
        server.wait_log(r"\[wsgi:warn\] .*AH02276: the client's certificate was refused: nobody known has issued it")
        server.wait_log(r"\[wsgi:info\] .*AH02276: the client's certificate was refused: there was none")


def test_old_versions_are_refused(server: WithTls) -> None:
    assert server.environ("/site/environ", most="TLSv1_2")["SSL_CIPHER"] == "ECDHE-ECDSA-AES256-GCM-SHA384"
    with pytest.raises((ssl.SSLError, ConnectionError)):
        server.over_tls("/site/environ", name="new.example", most="TLSv1_2")


def test_plain_http_gets_a_page(server: WithTls) -> None:
    answer = client.ask(server.tls_port, "/site/environ")
    assert answer.status == 400
    assert b"You're speaking plain HTTP to an SSL-enabled server port." in answer.body
