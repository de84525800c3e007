"""File, distribution and declarations of extension modules, and which ones are installed. `doctor.py` runs this file by its path.

Reads module definitions through ctypes, and the lists of installed files. Runs no code of the application.
"""

import sys


class Declared:
    """Reads the declarations in an extension module's definition. The layouts are those of CPython 3.11 to 3.15."""

    INTERPRETERS = {0: "none", 1: "shared-gil", 2: "own-gil"}
    # What a module says has other numbers when it is built for 3.15 (slots_generated.h).
    SLOTS = {86: 3, 87: 4}

    def __init__(self, gil):
        import ctypes

        self.gil = gil
        self.word = ctypes.sizeof(ctypes.c_void_p)
        self.head = object.__basicsize__
        self.get_def = ctypes.pythonapi.PyModule_GetDef
        self.get_def.argtypes, self.get_def.restype = [ctypes.py_object], ctypes.c_void_p
        # Knows modules of single-phase initialisation only.
        self.find = ctypes.pythonapi.PyState_FindModule
        self.find.argtypes, self.find.restype = [ctypes.c_void_p], ctypes.c_void_p
        self.at = lambda address: ctypes.c_void_p.from_address(address).value or 0
        self.int_at = lambda address: ctypes.c_int.from_address(address).value

    def of(self, module):
        import types

        unknown = {"phases": "unknown", "interpreters": "unknown", "gil": "unknown"}
        if not isinstance(module, types.ModuleType) or sys.version_info >= (3, 16):
            return unknown
        definition = self.get_def(module)
        if not definition:
            return unknown
        # PyModuleDef_Base is a head, m_init, m_index, m_copy; then m_name, m_doc, m_size, m_methods, m_slots.
        slots = self.at(definition + self.head + 7 * self.word)
        if not slots and self.find(definition):
            return {"phases": "single", "interpreters": "single-phase", "gil": self.held(module)}
        found = {}
        for position in range(64 if slots else 0):
            slot = self.int_at(slots + position * 2 * self.word)
            if slot == 0:
                break
            found[self.SLOTS.get(slot, slot)] = self.at(slots + position * 2 * self.word + self.word)
        interpreters = self.INTERPRETERS.get(found[3], "unknown") if 3 in found else "undeclared"
        free = {0: "used", 1: "not-used"}.get(found[4], "unknown") if 4 in found else "undeclared"
        return {"phases": "multi", "interpreters": interpreters, "gil": free}

    def held(self, module):
        """A single-phase module declares it by a call; a free-threaded build stores that in the module, after five fields."""
        if self.gil is None or "t" not in sys.abiflags or type(module).__basicsize__ != self.head + 6 * self.word:
            return "undeclared"
        return "not-used" if self.at(id(module) + self.head + 5 * self.word) else "undeclared"


def described(modules, kind, gil):
    """Name, file, distribution and declarations of each. `modules`: name to (module, file); `kind(file)`: origin of a file."""
    import os

    try:
        declared = Declared(gil).of
    except Exception:
        declared = dict.fromkeys  # ctypes is missing in this build
    standard = ("CPython", sys.version.split()[0].rstrip("+"))
    modules = dict(modules)
    wanted = {os.path.realpath(path) for _, path in modules.values()}
    owner = owners({path for path in wanted if kind(path) == "installed"})
    for name, (module, path) in modules.items():
        of = kind(path)
        distribution, version = standard if of == "standard" else owner.get(os.path.realpath(path), (None, None))
        says = declared(module) if module is not None else {}
        yield {"name": name, "file": path, "kind": of, "distribution": distribution, "version": version, **says}


def owners(wanted):
    """A map from file to (distribution, version), from the lists of installed files."""
    import os
    from importlib import metadata

    found = {}
    for distribution in metadata.distributions() if wanted else ():
        text = distribution.read_text("RECORD") or ""
        if ".so" not in text:
            continue
        for line in text.splitlines():
            path = line.split(",", 1)[0].strip('"')
            if path.endswith(".so") and (real := os.path.realpath(distribution.locate_file(path))) in wanted:
                found[real] = (distribution.metadata["Name"], distribution.version)
    return found


def installed():
    """For each distribution with extension modules: itself, its files, and its extension modules as (name, path)."""
    from importlib import machinery, metadata

    suffixes = sorted(machinery.EXTENSION_SUFFIXES, key=len, reverse=True)
    for distribution in metadata.distributions():
        text = distribution.read_text("RECORD") or ""
        # Workers have a module of their own in the place of ours.
        if ".so" not in text or distribution.metadata["Name"] == "gilkeeper":
            continue
        files = [line.split(",", 1)[0].strip('"') for line in text.splitlines()]
        modules = []
        for path in files:
            suffix = next((end for end in suffixes if path.endswith(end)), None)
            parts = path[: -len(suffix)].split("/") if suffix else []
            if parts and all(part.isidentifier() for part in parts) and not any(for_tests(part) for part in parts):
                modules.append((".".join(parts), path))
        if modules:
            yield distribution, files, modules


def for_tests(part):
    return part in ("test", "tests", "testing") or part.startswith("_test") or part.endswith(("_test", "_tests"))


def unloaded(imported):
    """The extension modules of the distributions that own an imported file, as far as they are not loaded themselves."""
    import os

    loaded = {os.path.realpath(file) for file in imported}
    for distribution, files, modules in installed():
        real = {path: os.path.realpath(distribution.locate_file(path)) for path in files if path.endswith((".py", ".so"))}
        if loaded.isdisjoint(real.values()):
            continue
        for name, path in modules:
            if real[path] not in loaded and name not in sys.modules:
                yield {"name": name, "file": real[path], "distribution": distribution.metadata["Name"], "version": distribution.version}


def packages():
    """The package to import of each distribution that has extension modules: all of them, with name and version."""
    found = {}
    for distribution, _, modules in installed():
        told = (distribution.read_text("top_level.txt") or "").split()
        tops = [name for name in told if name.isidentifier()] or [name.partition(".")[0] for name, _ in modules]
        # A top-level extension module that starts with an underscore is loaded by the package beside it.
        shown = [name for name in tops if not name.startswith("_")] or tops
        for name in shown:
            found.setdefault(name, {"name": name, "distribution": distribution.metadata["Name"], "version": distribution.version})
    return [found[name] for name in sorted(found)]
