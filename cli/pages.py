"""Pages of the documentation, by the names that messages have for them: docs/spectra.md."""

from __future__ import annotations

from pathlib import Path

import tilesim

SUFFIX = ".md"


def pages() -> dict[str, str]:
    """Name and title of every page."""
    return {f"docs/{path.name}": _title(path) for path in sorted(_folder().glob(f"*{SUFFIX}"))}


def page(name: str) -> str | None:
    """The text of a page: docs/spectra.md, spectra.md or spectra, whatever its section; None where there is none."""
    stem = name.partition("#")[0].removeprefix("docs/").removesuffix(SUFFIX)
    found = f"docs/{stem}{SUFFIX}"
    return (_folder() / f"{stem}{SUFFIX}").read_text(encoding="utf-8") if found in pages() else None


def _folder() -> Path:
    """Where an installed package has the pages, or a checkout."""
    package = Path(tilesim.__file__).parent
    installed = package / "pages"
    return installed if installed.is_dir() else package.parent / "docs"


def _title(path: Path) -> str:
    with path.open(encoding="utf-8") as lines:
        return next(lines, "").lstrip("# ").rstrip()
