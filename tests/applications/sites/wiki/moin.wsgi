"""The wiki of the configuration beside this script."""

import os

from moin.app import create_app

application = create_app(os.path.join(os.path.dirname(os.path.abspath(__file__)), "wikiconfig.py"))
