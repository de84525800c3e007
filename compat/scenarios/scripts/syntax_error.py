"""A script with a mistake in it."""

def application(environ, start_response)
    return []
