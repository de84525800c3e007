"""pypiserver on the packages beside this script; an upload needs the password."""

import os

import pypiserver

HERE = os.path.dirname(os.path.abspath(__file__))

application = pypiserver.app(
    roots=[os.path.join(HERE, "packages")],
    disable_fallback=True,
    auther=lambda name, password: (name, password) == ("ann", "secret"),
    authenticate=["update"],
)
