"""Falcon: JSON by `media`, a form in parts, and a body read from the bounded stream."""

import hashlib

import falcon


class Things:
    def on_post(self, request, response):
        response.media = {"got": request.get_media()}
        response.status = falcon.HTTP_201


class Raw:
    def on_put(self, request, response):
        digest, size = hashlib.sha256(), 0
        while block := request.bounded_stream.read(65536):
            digest.update(block)
            size += len(block)
        response.media = {"size": size, "length": request.content_length, "sha256": digest.hexdigest()}


class Forms:
    def on_post(self, request, response):
        parts = [(part.name, part.secure_filename if part.filename else None, part.stream.read()) for part in request.get_media()]
        response.media = [
            {"name": name, "file": file, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, file, data in parts
        ]


application = falcon.App()
application.add_route("/", Things())
application.add_route("/raw", Raw())
application.add_route("/forms", Forms())
