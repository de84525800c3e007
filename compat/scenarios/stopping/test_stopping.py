"""A stop of the server while requests run: what their clients get."""

from __future__ import annotations

import signal

from client import message
from differs import differs
from harness import Server


def test_a_response_under_way(own_server: Server) -> None:
    with own_server.connect() as connection:
        connection.send(message("GET", "/counted?key=x&n=20&how=slow"))
        assert connection.head().status == 200
        assert own_server.process is not None
        own_server.process.send_signal(signal.SIGTERM)
        body, whole = connection.chunks()
    assert whole == differs("Requests that run at a stop", ours=True, mod_wsgi=False)
    assert not whole or len(body) == 20 * 65536
    assert own_server.process.wait(20) == 0
