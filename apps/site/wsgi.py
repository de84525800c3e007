"""The example: a reading room's catalogue, a small Flask site on SQLite. Serve it with `make serve`.

    /                   the catalogue, twenty books a page, with a search
    /books/new          the form that adds one
    /books/7            one book; files can be put beside it and fetched again
    /slow?seconds=3     a page that comes in pieces
    /error              an exception, to see what an error looks like
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

# A script file's folder is not on the path by itself; the store lives beside it.
sys.path.insert(0, str(Path(__file__).resolve().parent))

from flask import Flask, Response, abort, flash, redirect, render_template, request, send_file, stream_with_context, url_for  # noqa: E402
from store import Store, default_path  # noqa: E402
from werkzeug.wrappers import Response as BaseResponse  # noqa: E402

PAGE = 20


def create_app(database: Path | None = None) -> Flask:
    """The site on the database at `database`, or where the environment says."""
    app = Flask(__name__)
    app.secret_key = "reading room: flash messages only, nothing secret is signed"
    store = Store(database or default_path())

    @app.get("/")
    def catalogue() -> str:
        query = request.args.get("q", "").strip()
        page = max(request.args.get("page", 1, type=int), 1)
        books, total = store.books(query, PAGE, (page - 1) * PAGE)
        pages = max(-(-total // PAGE), 1)
        return render_template("catalogue.html", books=books, total=total, query=query, page=page, pages=pages)

    @app.get("/books/new")
    def new_book() -> str:
        return render_template("new.html", values={}, problems=[])

    @app.post("/books/new")
    def add_book() -> BaseResponse | tuple[str, int]:
        title, author = request.form.get("title", "").strip(), request.form.get("author", "").strip()
        year, note = request.form.get("year", "").strip(), request.form.get("note", "").strip()
        problems = []
        if not title:
            problems.append("A book needs a title.")
        if not author:
            problems.append("A book needs an author.")
        if year and not (year.isdecimal() and 0 < int(year) < 3000):
            problems.append("The year is a number such as 1929.")
        if problems:
            return render_template("new.html", values=request.form, problems=problems), 422
        book = store.add_book(title, author, int(year) if year else None, note)
        flash(f"“{title}” is in the catalogue.")
        return redirect(url_for("book", number=book), 303)

    @app.get("/books/<int:number>")
    def book(number: int) -> str:
        found = store.book(number) or abort(404)
        return render_template("book.html", book=found, files=store.files(number))

    @app.post("/books/<int:number>/files")
    def upload(number: int) -> BaseResponse:
        found = store.book(number) or abort(404)
        sent = request.files.get("file")
        if sent is None or not sent.filename:
            flash("Choose a file first.")
        else:
            size = store.add_file(number, sent.filename, sent.mimetype or "application/octet-stream", sent.stream)
            flash(f"{Path(sent.filename).name} ({size} bytes) is kept beside “{found['title']}”.")
        return redirect(url_for("book", number=number), 303)

    @app.get("/files/<int:number>")
    def download(number: int) -> Response:
        found = store.file(number) or abort(404)
        path = store.file_path(number)
        return send_file(path, found["kind"], as_attachment=True, download_name=found["name"])

    @app.get("/slow")
    def slow() -> Response:
        seconds = min(max(request.args.get("seconds", 3.0, type=float), 0.0), 60.0)

        def pieces() -> Iterator[str]:
            yield render_template("slow.html", seconds=seconds)
            for step in range(1, 11):
                time.sleep(seconds / 10)
                yield f"<li>shelf {step} of 10 dusted</li>\n"
            yield "</ol></main></body></html>\n"

        return Response(stream_with_context(pieces()), mimetype="text/html")

    @app.get("/error")
    def error() -> str:
        raise RuntimeError("the card index fell over, as /error was asked to make it")

    @app.errorhandler(404)
    def missing(_: Exception) -> tuple[str, int]:
        return render_template("problem.html", title="Not on these shelves", text="There is no such page."), 404

    @app.errorhandler(500)
    def broken(_: Exception) -> tuple[str, int]:
        text = "Something went wrong. The error log has the traceback."
        return render_template("problem.html", title="The card index fell over", text=text), 500

    return app


application = create_app()
