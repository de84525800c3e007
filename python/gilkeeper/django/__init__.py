"""Gilkeeper in a Django project: `INSTALLED_APPS = [..., "gilkeeper.django"]`.

`manage.py gilkeeper` serves it for development; `manage.py check --deploy` says which GIL modes it is safe in.
"""
