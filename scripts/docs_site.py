"""The hook of the documents' site (mkdocs.yml): the order of its pages, and the pages and links that lie outside of docs/.

The documents are written for a repository's view. There a link may lead to a source file; the site shows its path in place of a link.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parent.parent
# Pages of the repository's own folder, by their names in the site.
TOP = {"README.md": "index.md", "ARCHITECTURE.md": "ARCHITECTURE.md", "STYLE.md": "STYLE.md", "CONTRIBUTING.md": "CONTRIBUTING.md"}
# The guide in the order in which it is read; pages that are not named come last.
GUIDE: dict[str, list[str]] = {
    "First steps": ["install", "getting-started", "django", "flask", "development", "from-gunicorn", "from-apache"],
    "Configuration": ["configuration", "choosing", "embedded", "gil-modes", "per-interpreter-gil", "free-threading", "switch-interval"],
    "Serving": ["files", "access", "behind-a-proxy", "tls", "tls-connections", "http2", "apache-directives"],
    "Operation": ["systemd", "containers", "deploying", "upgrading", "reloading-and-timeouts", "threads-and-shutdown", "more-than-one-machine"],
    "Looking into it": ["logging", "dashboard", "holders", "profile", "looking-inside", "export", "traces", "figures-for-a-fleet", "troubleshooting", "doctor", "load"],
    "More": ["applications", "service-scripts", "forking", "python-versions", "measurements", "faq"],
}
# Options stay on one line: a browser breaks them after each dash.
OPTION = re.compile(r"<code>(-[^<]{1,40})</code>")
STYLE = ".md-typeset code.option { white-space: nowrap }\n"
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s]+)\)")


def on_config(config: Any) -> Any:
    docs = Path(config.docs_dir)
    left = {path.stem for path in (docs / "guide").glob("*.md")}
    guide = []
    for name, pages in GUIDE.items():
        assert left.issuperset(pages), f"no such page of the guide: {set(pages) - left}"
        left -= set(pages)
        guide.append({name: [f"guide/{page}.md" for page in pages]})
    guide[-1]["More"] += [f"guide/{page}.md" for page in sorted(left)]
    reference = [f"reference/{path.name}" for path in sorted((docs / "reference").glob("*.md"))]
    directives = sorted(f"reference/directives/{path.name}" for path in (docs / "reference/directives").glob("*.md"))
    others = [path.name for path in sorted(docs.glob("*.md"))]
    config.nav = [
        "index.md",
        *guide,
        {"Reference": [*reference, {"Directives": directives}, *others]},
        {"Design": ["ARCHITECTURE.md", *folder(docs, "design"), {"Decisions": folder(docs, "decisions")}, "STYLE.md", "CONTRIBUTING.md"]},
    ]
    return config


def folder(docs: Path, name: str) -> list[str]:
    return [f"{name}/{path.name}" for path in sorted((docs / name).glob("*.md"))]


def on_files(files: Files, config: Any) -> Files:
    for source, name in TOP.items():
        files.append(File.generated(config, name, content=(ROOT / source).read_text(encoding="utf-8")))
    files.append(File.generated(config, "site.css", content=STYLE))
    return files


def on_page_content(html: str, **_: Any) -> str:
    return OPTION.sub(r'<code class="option">\1</code>', html)


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    here = {name: source for source, name in TOP.items()}.get(page.file.src_uri, f"docs/{page.file.src_uri}")

    def changed(found: re.Match[str]) -> str:
        picture, text, target = found.groups()
        place, mark, anchor = target.partition("#")
        if not place or re.match(r"[a-z]+:", target):
            return found[0]
        path = os.path.normpath(os.path.join(os.path.dirname(here), place))
        if path in TOP:
            path = f"docs/{TOP[path]}"
        elif not path.startswith("docs/") or (ROOT / path).is_dir():
            assert (ROOT / path).exists(), f"{here} has a link to {path}, which is not there"
            return text if path in text else f"{text} (`{path}`)"
        relative = os.path.relpath(path.removeprefix("docs/"), os.path.dirname(page.file.src_uri) or ".")
        return f"{picture}[{text}]({relative}{mark}{anchor})"

    # Blocks of code are left as they are.
    parts = re.split(r"(^```.*?^```$)", markdown, flags=re.M | re.S)
    return "".join(part if number % 2 else LINK.sub(changed, part) for number, part in enumerate(parts))
