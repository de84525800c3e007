"""Says which groups it runs in."""


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{environ['mod_wsgi.process_group']}|{environ['mod_wsgi.application_group']}".encode()]
