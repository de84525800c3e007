"""The project's WSGI application by the name that `gilkeeper serve` takes."""

from django.conf import settings


def script():
    """WSGI_APPLICATION as `module:name`."""
    path = getattr(settings, "WSGI_APPLICATION", None)
    if not path or "." not in path:
        raise ValueError("WSGI_APPLICATION names no application; django-admin startproject sets it to 'mysite.wsgi.application'")
    module, _, name = path.rpartition(".")
    return f"{module}:{name}"
