"""A callable that takes too little."""


def application(environ):
    return []
