"""Compresses a wheel's files once more, as small as Deflate can: repack_wheel.py WHEEL. Each installer reads it as before.

A zip has other methods that save more, and not every installer knows them.
"""

from __future__ import annotations

import os
import sys
import zipfile
from pathlib import Path

from deflate import deflate_compress

LEVEL = 12


class Compressor:
    """What zipfile asks of a compressor, for a library that wants all bytes at once."""

    def __init__(self, *_: object) -> None:
        self.pieces: list[bytes] = []

    def compress(self, piece: bytes) -> bytes:
        self.pieces.append(bytes(piece))
        return b""

    def flush(self) -> bytes:
        return bytes(deflate_compress(b"".join(self.pieces), LEVEL))


def files(wheel: Path) -> list[tuple[zipfile.ZipInfo, bytes]]:
    with zipfile.ZipFile(wheel) as archive:
        assert archive.testzip() is None
        return [(entry, archive.read(entry)) for entry in archive.infolist()]


def main() -> None:
    wheel = Path(sys.argv[1])
    again = wheel.with_suffix(".again")
    before = files(wheel)
    zipfile._get_compressor = Compressor  # type: ignore[attr-defined]
    with zipfile.ZipFile(again, "w") as archive:
        for entry, data in before:
            kept = zipfile.ZipInfo(entry.filename, entry.date_time)
            kept.external_attr, kept.create_system = entry.external_attr, entry.create_system
            archive.writestr(kept, data, zipfile.ZIP_DEFLATED)
    after = [(entry.filename, entry.external_attr, data) for entry, data in files(again)]
    assert after == [(entry.filename, entry.external_attr, data) for entry, data in before], "the files differ"
    print(f"{wheel.name}: {wheel.stat().st_size / 1e6:.2f} MB, compressed again {again.stat().st_size / 1e6:.2f} MB", file=sys.stderr)
    os.replace(again, wheel)


if __name__ == "__main__":
    main()
