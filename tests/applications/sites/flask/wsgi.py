"""The script of Flask's documentation on mod_wsgi: the factory's application."""

from library import create_app

application = create_app()
