"""The reading room's books and files: SQLite for the catalogue, a folder beside it for what was uploaded.

Several processes open the same database at once, each thread with a connection of its own. No web code here.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
import tempfile
import threading
from pathlib import Path
from typing import IO

SCHEMA = """
CREATE TABLE book (
    id INTEGER PRIMARY KEY, title TEXT NOT NULL, author TEXT NOT NULL, year INTEGER, note TEXT NOT NULL DEFAULT '');
CREATE TABLE file (
    id INTEGER PRIMARY KEY, book INTEGER NOT NULL REFERENCES book (id),
    name TEXT NOT NULL, kind TEXT NOT NULL, size INTEGER NOT NULL);
"""

BOOKS = [
    ("A Room of One's Own", "Virginia Woolf", 1929, "Two lectures, one argument."),
    ("The Periodic Table", "Primo Levi", 1975, "Twenty-one elements."),
    ("Invisible Cities", "Italo Calvino", 1972, "Fifty-five reports to an emperor."),
    ("The Left Hand of Darkness", "Ursula K. Le Guin", 1969, "A winter crossing."),
    ("Middlemarch", "George Eliot", 1871, "A study of provincial life."),
    ("Things Fall Apart", "Chinua Achebe", 1958, "Three parts, one village."),
    ("The Dispossessed", "Ursula K. Le Guin", 1974, "An ambiguous utopia."),
    ("Austerlitz", "W. G. Sebald", 2001, "Railway stations and photographs."),
    ("Beloved", "Toni Morrison", 1987, "124 was spiteful."),
    ("Ficciones", "Jorge Luis Borges", 1944, "A library among them."),
    ("The Master and Margarita", "Mikhail Bulgakov", 1967, "Manuscripts do not burn."),
    ("Kokoro", "Natsume Sōseki", 1914, "The heart of things."),
    ("Season of Migration to the North", "Tayeb Salih", 1966, "A return to the Nile."),
    ("The Summer Book", "Tove Jansson", 1972, "An island, a grandmother."),
    ("Pale Fire", "Vladimir Nabokov", 1962, "999 lines and a commentary."),
    ("The Waves", "Virginia Woolf", 1931, "Six voices."),
    ("Solaris", "Stanisław Lem", 1961, "An ocean that answers."),
    ("The Tale of Genji", "Murasaki Shikibu", 1021, "Fifty-four chapters."),
    ("One Hundred Years of Solitude", "Gabriel García Márquez", 1967, "Ice, first of all."),
    ("The Radetzky March", "Joseph Roth", 1932, "Three generations and a tune."),
    ("Wide Sargasso Sea", "Jean Rhys", 1966, "The other side of a story."),
    ("The Man Without Qualities", "Robert Musil", 1930, "Unfinished, at length."),
    ("Life: A User's Manual", "Georges Perec", 1978, "Ninety-nine rooms."),
    ("The Book of Disquiet", "Fernando Pessoa", 1982, "A trunk of fragments."),
]


def default_path() -> Path:
    """$READING_ROOM_DB, else a file in the server root ($GILKEEPER_ROOT, or gilkeeper-root in the working folder)."""
    if given := os.environ.get("READING_ROOM_DB"):
        return Path(given)
    return Path(os.environ.get("GILKEEPER_ROOT", "gilkeeper-root")) / "reading-room.db"


class Store:
    """The catalogue in the database file `path`, made and filled at first use."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.folder = self.path.with_name(self.path.name + "-files")
        self.folder.mkdir(parents=True, exist_ok=True)
        self.local = threading.local()
        # A change to WAL wants the database alone, so one process at a time looks whether there is anything to do.
        with open(self.folder / ".lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            db = self.connection()
            db.execute("PRAGMA journal_mode = WAL")
            if db.execute("PRAGMA user_version").fetchone()[0] == 0:
                db.executescript(SCHEMA)
                db.executemany("INSERT INTO book (title, author, year, note) VALUES (?, ?, ?, ?)", BOOKS)
                db.execute("PRAGMA user_version = 1")
                db.commit()

    def connection(self) -> sqlite3.Connection:
        """This thread's connection."""
        db = getattr(self.local, "db", None)
        if db is None:
            db = sqlite3.connect(self.path, timeout=10.0)
            db.row_factory = sqlite3.Row
            db.execute("PRAGMA synchronous = NORMAL")
            self.local.db = db
        return db

    def books(self, query: str, limit: int, offset: int) -> tuple[list[sqlite3.Row], int]:
        """One page of the books that match, and how many match in all."""
        where, given = "", []
        if query:
            where, given = "WHERE title LIKE ? OR author LIKE ?", [f"%{query}%"] * 2
        db = self.connection()
        rows = db.execute(f"SELECT * FROM book {where} ORDER BY title LIMIT ? OFFSET ?", [*given, limit, offset]).fetchall()
        return rows, db.execute(f"SELECT count(*) FROM book {where}", given).fetchone()[0]

    def book(self, number: int) -> sqlite3.Row | None:
        return self.connection().execute("SELECT * FROM book WHERE id = ?", [number]).fetchone()

    def add_book(self, title: str, author: str, year: int | None, note: str) -> int:
        with self.connection() as db:
            added = db.execute("INSERT INTO book (title, author, year, note) VALUES (?, ?, ?, ?)", [title, author, year, note])
        return int(added.lastrowid or 0)

    def files(self, book: int) -> list[sqlite3.Row]:
        return self.connection().execute("SELECT * FROM file WHERE book = ? ORDER BY id", [book]).fetchall()

    def file(self, number: int) -> sqlite3.Row | None:
        return self.connection().execute("SELECT * FROM file WHERE id = ?", [number]).fetchone()

    def file_path(self, number: int) -> Path:
        return self.folder / str(number)

    def add_file(self, book: int, name: str, kind: str, content: IO[bytes]) -> int:
        """Keeps `content`, copied in pieces; its size in bytes. The row appears only once the file is whole."""
        with tempfile.NamedTemporaryFile(dir=self.folder, delete=False) as copy:
            shutil.copyfileobj(content, copy, 1 << 16)
            size = copy.tell()
        with self.connection() as db:
            added = db.execute(
                "INSERT INTO file (book, name, kind, size) VALUES (?, ?, ?, ?)", [book, Path(name).name, kind, size]
            )
            os.replace(copy.name, self.file_path(int(added.lastrowid or 0)))
        return size
