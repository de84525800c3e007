"""A small Django project: the admin with its static files, notes in SQLite through the ORM, an upload, a stream.

The database is made at the first start, with an administrator `admin` (password $NOTES_PASSWORD, or `admin`).
"""

from __future__ import annotations

import fcntl
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "notes.settings")

import django  # noqa: E402
from django.conf import settings  # noqa: E402
from django.contrib.staticfiles.handlers import StaticFilesHandler  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402


def prepare() -> None:
    """Migrates the database and makes the administrator; one process at a time."""
    folder = Path(settings.DATA)
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "prepare.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        django.setup()
        call_command("migrate", verbosity=0, interactive=False)
        from django.contrib.auth import get_user_model

        users = get_user_model().objects
        if not users.filter(username="admin").exists():
            users.create_superuser("admin", "admin@example.com", os.environ.get("NOTES_PASSWORD", "admin"))


prepare()
application = StaticFilesHandler(get_wsgi_application())
