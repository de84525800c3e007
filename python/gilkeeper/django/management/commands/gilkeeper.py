"""`manage.py gilkeeper [[HOST:]PORT] [options of gilkeeper dev]`: what `runserver` does, by Gilkeeper."""

import os
import sys

from django.core.management.base import BaseCommand, CommandError

from gilkeeper.django.script import script


class Command(BaseCommand):
    help = "Serves the project for development with gilkeeper dev, which takes all further options."
    # As with `runserver`: `handle` does them and shows what they say.
    requires_system_checks = []

    def add_arguments(self, parser):
        parser.add_argument("addrport", nargs="?", default="", metavar="[HOST:]PORT", help="Address to listen on [default: 127.0.0.1:8000].")
        parser.add_argument("words", nargs="*", metavar="-- OPTION", help="Options of gilkeeper dev, after two dashes.")

    def handle(self, *, addrport, words, **options):
        try:
            name = script()
        except ValueError as why:
            raise CommandError(str(why)) from None
        # Behind two dashes everything is a word.
        if addrport.startswith("-"):
            addrport, words = "", [addrport, *words]
        self.stdout.write("Performing system checks...")
        self.check(display_num_errors=True)
        self.check_migrations()
        command = [sys.executable, "-m", "gilkeeper", "dev", name, *address(addrport)]
        # `manage.py` has put the project's folder there.
        folder = os.path.abspath(sys.path[0] or ".")
        if folder != os.getcwd():
            command += ["--working-directory", folder]
        sys.stdout.flush()
        sys.stderr.flush()
        os.execv(sys.executable, [*command, *words])


def address(text):
    """`8080`, `0.0.0.0:8080` or `[::1]:8080` as options."""
    host, colon, port = text.rpartition(":")
    if not port.isdigit() and text:
        raise CommandError(f"'{text}' is no port and no address with a port, such as 127.0.0.1:8080")
    named = ["--host", host.strip("[]")] if colon and host else []
    return [*named, "--port", port] if port else named
