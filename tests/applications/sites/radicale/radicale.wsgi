"""Radicale with the configuration beside this script."""

import os

HERE = os.path.dirname(os.path.abspath(__file__))
os.environ["RADICALE_CONFIG"] = os.path.join(HERE, "radicale.config")
# The configuration names its files without a folder.
os.chdir(HERE)

from radicale import application  # noqa: E402, F401
