"""Mercurial's hgweb on the repositories of hgweb.config, whose paths are relative to the current folder."""

import os

from mercurial.hgweb import hgweb

os.chdir(os.path.dirname(os.path.abspath(__file__)))

application = hgweb(b"hgweb.config")
