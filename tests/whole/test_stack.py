"""The Python stack of a request in flight, asked for over the admin port."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import client
import pytest
from harness import APPS, until
from running import Gilkeeper


def get(address: str, path: str) -> Any:
    with urllib.request.urlopen(f"{address}{path}", timeout=10) as answer:
        return json.load(answer)


def test_a_running_request_tells_its_stack(gilkeeper: Callable[..., Gilkeeper]) -> None:
    server = gilkeeper([APPS / "probes.py"], arguments=["{app}/probes.py", "--threads", "2"], admin=0)
    admin = server.status()["admin"].rstrip("/")
    with server.connect() as connection:
        connection.send(client.message("GET", "/sleep?seconds=15"))
        flying = until(lambda: get(admin, "/api/v1/requests")["in_flight"], "a request in flight")
        asked = f"/api/v1/stack?worker={flying[0]['worker']}&request={flying[0]['request']}"
        told = until(lambda: said if "in sleep" in (said := get(admin, asked))["stack"] else None, "the request is in its sleep")
        assert (told["path"], told["method"], told["slow"]) == ("/sleep", "GET", False)
        assert "probes.py" in told["stack"]
        assert connection.response().body == b"slept"
    for query, status in ((f"?worker=1&request={flying[0]['request']}", 404), ("?worker=x", 400)):
        with pytest.raises(urllib.error.HTTPError) as refused:
            get(admin, f"/api/v1/stack{query}")
        with refused.value:
            assert refused.value.code == status
