"""Symbolic links, and what is neither file nor folder."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from harness import Server

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def site(server_of: Callable[[str | None], Server]) -> Iterator[Server]:
    server = server_of(None)
    spec = importlib.util.spec_from_file_location("files_trees", HERE / "trees.py")
    assert spec is not None and spec.loader is not None
    trees = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(trees)
    trees.make(server.root / "data")
    yield server


LINKS = [
    ("/free/a.txt", 200),
    ("/free/folder/a.txt", 200),
    ("/free/folder", 301),
    ("/free/folder/none", 404),
    ("/free/dangling", 403),
    ("/free/loop", 403),
    ("/free/closed/plain.txt", 200),
    ("/free/closed/a.txt", 403),
    ("/free/closed/folder", 403),
    ("/free/closed/folder/", 403),
    ("/free/closed/folder/a.txt", 403),
    ("/free/closed/folder/none", 403),
    ("/free/closed/dangling", 403),
    ("/free/closed/none", 404),
    ("/free/closed/sub/", 200),
    ("/free/closed/linked/", 403),
    ("/free/closed/open/a.txt", 200),
    ("/free/closed/location/a.txt", 403),
    ("/free/closed/pipe", 403),
    ("/free/closed/socket", 403),
    ("/behind/a.txt", 403),
    ("/behind/", 403),
    ("/free/own/a.txt", 200),
    ("/free/own/folder/a.txt", 200),
    ("/free/own/folder/theirs.txt", 200),
    ("/free/own/dangling", 403),
    ("/free/own/pipe", 403),
]


@pytest.mark.parametrize(("path", "status"), LINKS)
def test_links(site: Server, path: str, status: int) -> None:
    assert site.ask(path).status == status


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a link away")
def test_links_of_somebody_else(site: Server) -> None:
    assert site.ask("/free/own/theirs.txt").status == 403


@pytest.mark.only("ours", "Apache waits for the other end of a pipe")
def test_a_pipe_is_refused_where_links_are_followed(site: Server) -> None:
    os.mkfifo(site.root / "data/free/pipe")
    assert site.ask("/free/pipe").status == 403


def test_the_log_names_the_link(site: Server) -> None:
    site.mark_log()
    assert site.ask("/free/closed/folder/a.txt").status == 403
    site.wait_log(r"AH00037: Symbolic link not allowed or link target not accessible: .*/closed/folder")


def test_a_link_that_comes_later(site: Server) -> None:
    place = site.root / "data/free/closed/later.txt"
    place.write_text("file\n")
    assert site.ask("/free/closed/later.txt").status == 200
    place.unlink()
    place.symlink_to("../real/a.txt")
    assert site.ask("/free/closed/later.txt").status == 403
