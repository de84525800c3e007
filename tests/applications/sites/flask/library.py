"""Files by send_file, a session, a form with files and a stream."""

import hashlib
import os

from flask import Flask, redirect, request, send_file, session, url_for

HERE = os.path.dirname(os.path.abspath(__file__))


def create_app():
    app = Flask(__name__)
    app.secret_key = "of a test"

    @app.get("/book")
    def book():
        return send_file(os.path.join(HERE, "book.bin"), download_name="book.bin", conditional=True, max_age=60)

    @app.get("/disk")
    def disk():
        return send_file(os.path.join(HERE, "disk.img"), conditional=True, etag=False)

    @app.get("/stream")
    def stream():
        return (f"line {number}\n" for number in range(500)), {"Content-Type": "text/plain; charset=utf-8"}

    @app.post("/readers")
    def reader():
        session["reader"] = request.form["name"]
        return redirect(url_for("card"), 303)

    @app.get("/card")
    def card():
        return {"reader": session.get("reader"), "root": request.root_path, "path": request.path, "url": request.url}

    @app.post("/scans")
    def scan():
        file = request.files["scan"]
        return {"note": request.form["note"], "name": file.filename, "sha256": hashlib.sha256(file.read()).hexdigest()}

    @app.put("/raw")
    def raw():
        sent = request.get_data()
        return {"size": len(sent), "length": request.content_length, "sha256": hashlib.sha256(sent).hexdigest()}

    return app
