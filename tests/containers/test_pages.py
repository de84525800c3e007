"""The guide pages about containers and machines: what they show is run, or compared with the file that is."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path

import harness
import pytest
import yaml
from harness import until
from image import stages
from playing import DEPLOY, Network, Part, asked, environment, serve, state

GUIDE = harness.REPOSITORY / "docs/guide"
PAGES = ("containers.md", "more-than-one-machine.md", "figures-for-a-fleet.md")
METRICS = (harness.REPOSITORY / "docs/reference/metrics.md").read_text()


def blocks(page: str, language: str = "") -> list[str]:
    text = (GUIDE / page).read_text()
    found = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.M | re.S)
    return [block for named, block in found if named == language]


def commands() -> Iterator[list[str]]:
    """Every command line of the pages."""
    for page in PAGES:
        for block in blocks(page):
            if "──" not in block:
                for line in filter(str.strip, block.splitlines()):
                    yield shlex.split(line, comments=True)


def test_every_command_is_one_that_a_test_knows(tmp_path: Path, running: Callable[[Part], Part]) -> None:
    last = stages((DEPLOY / "Containerfile").read_text())[-1]
    [user], ports = last.values("USER"), last.values("EXPOSE")[0].split()
    deployment = yaml.safe_load((DEPLOY / "kubernetes/deployment.yaml").read_text())
    volumes = deployment["spec"]["template"]["spec"]["volumes"]
    [secret] = [volume["secret"]["secretName"] for volume in volumes if "secret" in volume]
    network = Network()
    server = running(serve(network, "site", ["wsgi.py", "--admin", "0.0.0.0:8001"], tmp_path))
    until(lambda: asked(f"http://{network.address('site')}:8001/readyz")[0] == 200, "the server is ready", 30)
    for words in commands():
        match words:
            case ["podman", "build", "-f", file, "-t", "site", "."]:
                assert (harness.REPOSITORY / file).is_file()
            case ["podman", "run", "--read-only", "--tmpfs", state, "-p", site, "-p", admin, "site"]:
                assert state == f"/state:uid={user.split(':')[0]}"
                assert [site.split(":")[-1], admin.split(":")[-1]] == ports
            case ["kubectl", "create", "secret", "generic", name, literal, *_]:
                assert name == secret and literal.startswith("--from-literal=token=")
            case ["kubectl", "apply", "-k", folder]:
                assert (harness.REPOSITORY / folder / "kustomization.yaml").is_file()
            case ["openssl", *arguments, ">", target]:
                made = subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=True)
                # A token of 16 characters or more is kept.
                assert len(made.stdout.strip()) >= 16 and target == "deploy/admin.token"
                assert "./admin.token:/state/admin.token:ro" in (DEPLOY / "compose.yaml").read_text()
            case ["docker", "compose", "-f", file, "up", "--build"]:
                # Run by test_compose.py.
                assert (harness.REPOSITORY / file).is_file()
            case ["promtool", "test", "rules", file]:
                # Run by test_alerts.py.
                assert (harness.REPOSITORY / file).is_file()
            case ["gilkeeper", "drain" | "stop", *_]:
                done = server.run(words)
                assert done.returncode == 0, done
            case _:
                pytest.fail(f"no test knows this command: {shlex.join(words)}")
    # The last of them was the stop.
    assert server.process.wait(10) == 0


def test_figures_are_figures_and_files_are_files() -> None:
    known = set(re.findall(r"gilkeeper_\w+", METRICS))
    for page in PAGES:
        text = (GUIDE / page).read_text()
        assert {name.removesuffix("_bucket") for name in re.findall(r"gilkeeper_\w+", text)} <= known, page
        for target, anchor in re.findall(r"\]\(([^)#]*)(?:#([^)]*))?\)", text):
            file = (GUIDE / target).resolve() if target else GUIDE / page
            assert file.exists(), target
            if anchor:
                titles = re.findall(r"^#+ (.*)$", file.read_text(), re.M)
                assert anchor in {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}, anchor
    collector = yaml.safe_load((DEPLOY / "otel-collector.yaml").read_text())
    port = collector["receivers"]["otlp"]["protocols"]["http"]["endpoint"].rsplit(":")[-1]
    assert f"GilkeeperOTLP http://collector:{port} " in "".join(blocks("figures-for-a-fleet.md", "apache"))
    for pipeline in collector["service"]["pipelines"].values():
        for kind, names in pipeline.items():
            assert set(names) <= set(collector[kind]), (kind, names)
    [scrape] = blocks("more-than-one-machine.md", "yaml")
    assert yaml.safe_load(scrape)["scrape_configs"] == yaml.safe_load((DEPLOY / "prometheus.yml").read_text())["scrape_configs"]


def test_directives_are_understood(tmp_path: Path) -> None:
    [text] = blocks("more-than-one-machine.md", "apache")
    (tmp_path / "site.conf").write_text(text)
    command = [harness.gilkeeper(), "check", "--strict", "-c", str(tmp_path / "site.conf"), "--format", "json"]
    told = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert told.returncode == 0 and json.loads(told.stdout), told


def application(page: str, before: str, after: str) -> str:
    [snippet] = blocks(page, "python")
    return f"{before}\n{snippet}\n{after}"


def test_a_stream_as_the_page_has_it_ends_at_a_stop(tmp_path: Path, running: Callable[[Part], Part]) -> None:
    answer = """
def application(environ, start_response):
    start_response("200 OK", [])
    return events() if environ["PATH_INFO"] == "/events" else [b"ok"]
"""
    script = tmp_path / "streams.py"
    script.write_text(application("containers.md", "", answer))
    network = Network()
    server = running(serve(network, "site", [str(script), "--admin", "0.0.0.0:8001"], tmp_path))
    site = f"http://{network.address('site')}"
    until(lambda: asked(f"{site}:8001/readyz")[0] == 200, "the server is ready", 30)
    reader = subprocess.Popen(["curl", "-sN", f"{site}:8000/events"], stdout=subprocess.PIPE)
    assert reader.stdout and reader.stdout.readline() == b": still here\n"
    # Without heeding it the stream would go on for graceful-timeout.
    assert server.end(3.5) < 3.5
    assert reader.wait(30) == 0, "curl saw a whole response"
    reader.stdout.close()


def test_the_last_spans_of_a_trace_are_sent_at_a_stop(tmp_path: Path, running: Callable[[Part], Part]) -> None:
    """With OpenTelemetry's own SDK, whose exporter keeps spans for a while; here it prints them."""
    before = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter

trace.set_tracer_provider(TracerProvider())
trace.get_tracer_provider().add_span_processor(BatchSpanProcessor(ConsoleSpanExporter(), schedule_delay_millis=600_000))
"""
    after = """
def application(environ, start_response):
    with trace.get_tracer("site").start_as_current_span("a request with " + environ.get("HTTP_TRACEPARENT", "no parent")):
        start_response("200 OK", [])
        return [b"ok"]
"""
    script = tmp_path / "traced.py"
    script.write_text(application("more-than-one-machine.md", before, after))
    address = Network().address("site")
    given = ["--python-path", sysconfig.get_path("purelib"), "--host", address, "--admin", f"{address}:8001"]
    command = [harness.gilkeeper(), "serve", str(script), *given]
    server = running(Part("site", command, tmp_path, environment(state(tmp_path / "state")), tmp_path))
    until(lambda: asked(f"http://{address}:8001/readyz")[0] == 200, "the server is ready", 30)
    assert asked(f"http://{address}:8000/", {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"})[0] == 200
    assert "a request with" not in server.text(), "the exporter keeps it"
    server.end(10)
    assert "a request with 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" in server.text()
