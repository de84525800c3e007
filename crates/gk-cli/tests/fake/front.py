"""A fake front: takes links, checks each with one byte of greeting, answers status, stops when told."""

import os
import socket
import sys

sys.path.insert(0, os.path.dirname(__file__))
from child import hear, say, setup, trace

listeners = [socket.socket(fileno=5 + i) for i in range(len(setup["listeners"]))]
trace(f"front {os.getpid()} listens on " + " ".join(l["address"] for l in setup["listeners"]))
say({"type": "ready"})
in_flight = {}
while True:
    message, fds = hear()
    kind = message["type"]
    if kind == "worker":
        link = socket.socket(fileno=fds[0])
        # Words, two rings, two areas for large pieces of bodies.
        assert os.fstat(fds[1]).st_size == 4096 + 2 * 65536 + 2 * 64 * 262144
        greeting = link.recv(64).decode()
        in_flight[message["worker"]] = link
        trace(f"front {os.getpid()} has worker {message['worker']} of {message['process_group']}: {greeting}")
        say({"type": "serving"})
    elif kind == "drain_worker":
        link = in_flight.pop(message["worker"], None)
        trace(f"front drains {message['worker']}")
        if link:
            link.sendall(b"drain")
        say({"type": "gives_no_more", "worker": message["worker"]})
        say({"type": "drained", "worker": message["worker"]})
    elif kind == "worker_exited":
        trace(f"front hears that {message['worker']} ended: {message['how']}")
    elif kind == "site":
        trace(f"front has generation of descriptors {len(fds)}")
        say({"type": "site", "configuration": message["configuration"], "refused": None})
    elif kind == "ping":
        say({"type": "alive"})
    elif kind == "status":
        say({"type": "status", "token": message["token"],
             "status": {"connections": 3, "requests": 7, "queued": {"default": 2}, "in_flight": {}}})
    elif kind == "stop":
        trace(f"front stops within {message['timeout']:.0f}")
        sys.exit(0)
