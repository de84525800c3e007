"""What the fake front and the fake worker share: the control protocol over descriptor 3, the setup in descriptor 4."""

import array
import json
import os
import socket

control = socket.socket(fileno=3)
setup = json.loads(os.pread(4, 1 << 22, 0))


def say(message):
    control.send(json.dumps(message).encode())


def hear():
    """The next message and its descriptors; ends the process when the supervisor is gone."""
    data, ancillary, _, _ = control.recvmsg(1 << 17, socket.CMSG_SPACE(16))
    if not data:
        os._exit(99)
    fds = array.array("i")
    for level, kind, payload in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            fds.frombytes(payload[: len(payload) - len(payload) % fds.itemsize])
    return json.loads(data), list(fds)


def trace(text):
    """One line in the file that the test reads."""
    path = os.environ.get("FAKE_TRACE")
    if path:
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(fd, (text + "\n").encode())
        os.close(fd)
