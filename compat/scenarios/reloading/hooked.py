"""Asks the file beside it whether it has to be loaded again, when the server asks."""

import os

FOLDER = os.path.dirname(__file__)
ASKED = []


def reload_required(path):
    ASKED.append(path)
    try:
        with open(os.path.join(FOLDER, "word")) as file:
            word = file.read()
    except FileNotFoundError:
        return False
    if word == "raise":
        raise LookupError("reload_required raises, as it was told to")
    if word == "always":
        return True
    if word == "once":
        os.unlink(os.path.join(FOLDER, "word"))
        return "any true value"
    return None


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    same = set(ASKED) <= {environ["SCRIPT_FILENAME"]}
    return [f"{os.getpid()}|{len(ASKED)}|{same}".encode()]


handle_request = application
