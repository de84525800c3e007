"""An application whose requests fork; the child comes back to the server in the way that the path names."""

import os
import sys


def application(environ, start_response):
    way = environ["PATH_INFO"].strip("/")
    if way == "pid":
        return answer(start_response, os.getpid())
    try:
        pid = os.fork()
    except RuntimeError as error:
        return answer(start_response, error)
    if pid == 0:
        if way == "raise":
            raise ValueError("in a child")
        if way == "exit":
            sys.exit(3)
        return answer(start_response, "of a child")
    return answer(start_response, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


def answer(start_response, text):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(text).encode()]
