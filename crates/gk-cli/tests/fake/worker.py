"""A fake worker: ready at once (or as `FAKE_BEHAVIOUR` says, read anew from its file), greets each link, leaves when drained.

Behaviours, one line of the file for all: `fine`, `broken` (an import fails), `exit N`, `hang` (never ready), `stubborn`
(stays when told to stop), `script` (its script changes once), `hangs-up` (closes its control socket while it serves).
"""

import os
import select
import signal
import socket
import sys

sys.path.insert(0, os.path.dirname(__file__))
from child import control, hear, say, setup, trace

with open(os.environ["FAKE_BEHAVIOUR"]) as file:
    behaviour = file.read().split()
number, group = setup["worker"], setup["group"]["name"]
trace(f"worker {number} of {group} starts")
if behaviour[0] == "exit":
    sys.exit(int(behaviour[1]))
if behaviour[0] == "hang":
    signal.pause()
failed = []
if behaviour[0] == "broken":
    failed = [{"script": "site.wsgi", "application_group": "", "traceback": "SyntaxError: as asked"}]
say({"type": "ready", "python": "3.99.0", "gil_mode": "shared", "switch_interval": 0.005, "failed": failed})
if behaviour[0] == "script":
    say({"type": "script_changed", "script": "site.wsgi"})
if behaviour[0] == "hangs-up":
    control.close()
    signal.pause()
links = []
served = left = False
while not (served and left):
    ready, _, _ = select.select([control, *links], [], [])
    for link in ready:
        if link is control:
            continue
        data = link.recv(64)
        if data == b"drain":
            trace(f"worker {number} has served everything")
            served = True
        if not data:  # that front is gone; the next one brings a new link
            links.remove(link)
    if control not in ready:
        continue
    message, fds = hear()
    if message["type"] == "link":
        link = socket.socket(fileno=fds[0])
        link.sendall(f"hello from {number}".encode())
        links.append(link)
    elif message["type"] == "leave":
        trace(f"worker {number} leaves: {message['reason']} within {message['timeout']:.0f}")
        left = True
    elif message["type"] == "stop" and behaviour[0] != "stubborn":
        trace(f"worker {number} stops: {message['reason']}")
        sys.exit(0)
    elif message["type"] == "ping":
        say({"type": "alive"})
    elif message["type"] == "status":
        say({"type": "status", "token": message["token"],
             "status": {"requests": 5, "busy": 1, "application_groups": [""]}})
