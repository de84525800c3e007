"""Which process and which interpreter serves a request."""

from __future__ import annotations

import os
import threading

import pytest
from differs import differs
from harness import Server, command_of, until


def where(server: Server, target: str, **given: str) -> dict:
    answer = server.ask(f"{target}/where", **given)
    assert answer.status == 200, answer.body
    return answer.json


GROUPS = {
    "/one": ("one", ""),
    "/two": ("two", ""),
    "/two-named": ("two", "named"),
    "/resource": ("two", "localhost{port}|/resource"),
    "/server": ("two", "localhost{port}"),
    "/host": ("two", "localhost{port}"),
    "/variable": ("two", ""),
    "/group-by-variable": ("two", "two"),
    "/located": ("two", "inner"),
    "/allowed": ("two", ""),
}


@pytest.mark.parametrize("target", [pytest.param(target, marks=pytest.mark.group(GROUPS[target][0])) for target in GROUPS])
def test_runs_in(server: Server, target: str) -> None:
    process_group, application_group = GROUPS[target]
    port = differs("Port in the names of application groups", ours=f":{server.port}", mod_wsgi="")
    application_group = application_group.format(port=port)
    seen = where(server, target)
    assert (seen["process_group"], seen["application_group"]) == (process_group, application_group)
    assert seen["module_process_group"] == process_group
    steady = differs("mod_wsgi.application_group in the main interpreter", ours=True, mod_wsgi=application_group != "")
    assert seen["module_application_group"] == application_group or not steady


@pytest.mark.group("two")
@pytest.mark.parametrize(("target", "code"), [("/variable-unset", "WSGI0151"), ("/unknown", "WSGI0151"), ("/restricted", "WSGI0149")])
def test_refused(server: Server, target: str, code: str) -> None:
    server.mark_log()
    assert server.ask(f"{target}/where").status == 500
    server.wait_log(code)


@pytest.mark.group("two")
def test_a_client_chooses_no_port_of_a_group_name(server: Server) -> None:
    """Reported: each other port in a Host header made another application group, with a sub-interpreter that stays.

    Met on any public server, in a group named %{RESOURCE} or %{SERVER}.
    """
    port = differs("Port in the names of application groups", ours=server.port, mod_wsgi=9)
    for target, rest in (("/server", ""), ("/resource", "|/resource")):
        assert where(server, target, host="other.example:9")["application_group"] == f"localhost:{port}{rest}"


@pytest.mark.group("two")
def test_the_host_is_part_of_a_group_name(server: Server) -> None:
    seen = where(server, "/host", host=f"other.example:{server.port}")
    assert seen["application_group"] == f"other.example:{server.port}"


@pytest.mark.group("two")
def test_directory_scope(server: Server) -> None:
    assert server.ask("/directory").body == b"two|of-directory"


@pytest.mark.group("two")
def test_one_process_for_all_interpreters_of_a_group(server: Server) -> None:
    assert len({where(server, target)["pid"] for target in ("/two", "/two-named", "/resource")}) == 1


@pytest.mark.group("two")
def test_interpreters_do_not_share_modules(server: Server) -> None:
    server.ask("/two/counted?key=shared")
    assert server.ask("/two/closed?key=shared").json == 1
    assert server.ask("/two-named/closed?key=shared").json == 0


@pytest.mark.group("one")
def test_both_processes_of_a_group_serve(server: Server) -> None:
    def both() -> bool:
        seen: set[int] = set()

        def one() -> None:
            server.ask("/one/sleep?seconds=0.05")
            seen.add(where(server, "/one")["pid"])

        threads = [threading.Thread(target=one) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return len(seen) == 2

    until(both, "two processes have answered")


FLAGS = {"/one": (True, True, False), "/two": (False, False, False), "/once": (False, False, True)}


@pytest.mark.parametrize("target", [pytest.param(target, marks=pytest.mark.group(target[1:])) for target in FLAGS])
def test_concurrency_flags(server: Server, target: str) -> None:
    values = server.ask(f"{target}/environ").json["values"]
    assert (values["wsgi.multithread"], values["wsgi.multiprocess"], values["wsgi.run_once"]) == FLAGS[target]


@pytest.mark.group("two")
def test_home_umask_and_language(server: Server) -> None:
    seen = where(server, "/two")
    assert seen["cwd"] == str(server.root / "app")
    assert seen["umask"] == 0o077
    assert (seen["lang"], seen["lc_all"]) == ("de_DE.UTF-8", "C.UTF-8")


@pytest.mark.of_daemon_mode("it compares two process groups")
def test_python_path_and_home_are_on_the_path(server: Server) -> None:
    path = where(server, "/two")["path"]
    assert str(server.root / "app" / "extra") in path
    assert str(server.root / "app") in path
    assert str(server.root / "app" / "extra") not in where(server, "/one")["path"]


@pytest.mark.group("one")
def test_the_process_title(server: Server) -> None:
    assert "(wsgi:one)" in command_of(where(server, "/one")["pid"])


@pytest.mark.group("once")
def test_maximum_requests_replaces_the_process(server: Server) -> None:
    first = where(server, "/once")["pid"]
    # A request that comes before the process has said that it leaves is still its own.
    until(lambda: (answer := server.ask("/once/where")).status == 200 and answer.json["pid"] != first, "another process answers")


@pytest.mark.group("two")
def test_import_script(server: Server) -> None:
    assert server.ask("/preloaded").body == b"True"
    # At the start: before the marks of other cases.
    until(lambda: "preload.py was imported" in server.log(), "the line is in the error log")


@pytest.mark.group("two")
def test_the_script_is_a_module_with_a_file(server: Server) -> None:
    seen = where(server, "/two")
    assert seen["file"] == str(server.root / "app" / "probes.py")
    assert seen["name"].startswith("_mod_wsgi_")
    assert seen["registered"] == seen["file"], "frameworks find their own folder through sys.modules"


@pytest.mark.group("two")
def test_argv(server: Server) -> None:
    assert where(server, "/two")["argv"] == ["mod_wsgi"]


@pytest.mark.group("two")
def test_the_user(server: Server) -> None:
    expected = differs("The user of a daemon process", ours=os.getuid(), mod_wsgi=33 if os.getuid() == 0 else os.getuid())
    assert where(server, "/two")["uid"] == expected
