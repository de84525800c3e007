"""Hooks whose answers the request chooses, by its query or its password."""

import hashlib
import json
import os

NAMES = "REMOTE_ADDR", "REQUEST_METHOD", "REQUEST_URI", "SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "HTTP_HOST", "HTTP_AUTHORIZATION"
OTHERS = "CONFIGURED", "SERVER_SIGNATURE", "mod_wsgi.version", "mod_wsgi.process_group", "mod_wsgi.application_group", "wsgi.input", "gilkeeper.hook.password"
FOLDER = os.path.join(os.path.dirname(os.path.dirname(__file__)), "data")


def note(name, environ, *arguments):
    """Tells the test what a hook was given."""
    given = {key: environ.get(key) for key in NAMES + OTHERS}
    given["types"] = sorted({type(key).__name__ for key in environ})
    with open(os.path.join(FOLDER, name + ".new"), "w") as file:
        json.dump([given, *arguments], file)
    os.rename(os.path.join(FOLDER, name + ".new"), os.path.join(FOLDER, name))


def allow_access(environ, host):
    note("allow_access", environ, host)
    answers = {"true": True, "false": False, "none": None, "number": 1, "text": "yes"}
    return answers[environ["QUERY_STRING"]]


def check_password(environ, user, password):
    note("check_password", environ, user, password)
    answers = {"true": True, "false": False, "none": None, "other": "somebody", "empty": "", "number": 1, "bytes": b"somebody"}
    print("checked", user, file=environ["wsgi.errors"])
    return answers[password]


def get_realm_hash(environ, user, realm):
    note("get_realm_hash", environ, user, realm)
    known = hashlib.md5(f"{user}:{realm}:secret".encode()).hexdigest()
    return {"bob": known, "bytes": known.encode(), "empty": "", "number": 1}.get(user)


def groups_for_user(environ, user):
    note("groups_for_user", environ, user)
    groups = {"bob": ["ops", "staff"], "al": (b"staff",), "none": None, "number": [1], "empty": [], "somebody": iter(["staff"])}
    return groups.get(user, ["other"])
