"""One bare repository, for clone and push (dulwich)."""

from pathlib import Path

from dulwich.repo import Repo
from dulwich.server import DictBackend
from dulwich.web import make_wsgi_chain

REPOSITORIES = Path(__file__).parent / "repositories"

application = make_wsgi_chain(DictBackend({"/site.git": Repo(str(REPOSITORIES / "site.git"))}))
