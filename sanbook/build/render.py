"""Render the executed pages and the prose as a book: HTML by Jupyter Book 1.x, PDF by Chromium.

Sources are gathered in ``_build/PROFILE``, where Jupyter Book finds the project's layout again.
"""

import filecmp
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Collection
from importlib.metadata import version
from pathlib import Path

import yaml

from sanbook.build.execute import PageError
from sanbook.build.switches import ROOT

BUILD = ROOT / "_build"
# What the prose shows besides the executed pages; a folder stands for all in it.
SOURCES = ("book", "notebooks", "README.md", "CITATION.cff", "_config.yml")
GROUPS = ("parts", "chapters", "sections")  # of entries in the table of contents


def contents_of(entry: dict) -> list[str]:
    """All pages below an entry of the table of contents."""
    pages = [entry[key] for key in ("root", "file") if key in entry]
    for group in GROUPS:
        for child in entry.get(group, []):
            pages += contents_of(child)
    return pages


def provenance(profile: str) -> dict[str, dict]:
    """How each executed page of a profile was made, by the name of the page."""
    records = sorted((BUILD / profile / "results" / "provenance").rglob("*.json"))
    return {facts["page"]: facts for facts in (json.loads(path.read_text()) for path in records)}


def contents(profile: str) -> dict:
    """The table of contents, without databases that are simulated where others are not.

    Their pages are still made; the page over all databases links to them.
    """
    toc = yaml.safe_load((ROOT / "book" / "_toc.yml").read_text())
    sources = {
        page: {card["source"] for card in facts["cards"]}
        for page, facts in provenance(profile).items()
        if page.startswith("physionet/")
    }
    simulated = {page for page, of_page in sources.items() if of_page == {"simulated"}}
    return toc if simulated == set(sources) else without(toc, simulated)


def without(entry: dict, pages: Collection[str]) -> dict:
    """An entry of the table of contents without some of the pages below it.

    >>> without({"root": "a", "chapters": [{"file": "b"}, {"file": "c"}]}, {"b"})
    {'root': 'a', 'chapters': [{'file': 'c'}]}
    """
    return {
        key: [without(child, pages) for child in value if child.get("file") not in pages]
        if key in GROUPS
        else value
        for key, value in entry.items()
    }


def gather(profile: str) -> Path:
    """Bring sources and executed pages of a profile together; returns the folder that has them.

    What is the same stays untouched, so that Sphinx renders only what changed.
    """
    folder, files = BUILD / profile, {}
    for source in (ROOT / name for name in SOURCES):
        for path in [source] if source.is_file() else source.rglob("[!.]*"):
            if path.is_file() and path.suffix != ".pyc":
                files[folder / path.relative_to(ROOT)] = path
    toc, pages = files.pop(folder / "book" / "_toc.yml"), folder / "pages"
    named = contents_of(yaml.safe_load(toc.read_text()))
    made = [*(pages / "figures").glob("*"), *(pages / f"{page}.ipynb" for page in named)]
    files |= {folder / "book" / path.relative_to(pages): path for path in made if path.exists()}
    for path in [path for name in SOURCES for path in (folder / name).rglob("*")]:
        if path.is_file() and path not in files:
            path.unlink()
    for target, path in files.items():
        if not target.exists() or not filecmp.cmp(path, target, shallow=False):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    texts = {
        "_toc.yml": yaml.safe_dump(contents(profile), sort_keys=False),
        "this_book.txt": describe_book(profile),
        "reproduced.txt": headline((ROOT / "README.md").read_text()),
        "modules.txt": document_modules(),
    }
    for name, text in texts.items():
        (folder / "book" / name).write_text(text)
    return folder


def document_modules() -> str:
    """A section for each module of ours with a function or class that book/api.md does not name."""
    named = (ROOT / "book" / "api.md").read_text().split()
    sections = []
    for path in sorted((ROOT / "sanbook").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        module = ".".join(parts).removesuffix(".__init__")
        if module not in named and re.search(r"(?m)^(def|class) [a-zA-Z]", path.read_text()):
            directive = f"```{{eval-rst}}\n.. automodule:: {module}\n   :members:\n```"
            sections.append(f"## {module}\n\n{directive}\n")
    return "\n".join(sections)


def headline(readme: str) -> str:
    """The sentence of the README that says how much was reproduced, which `make record` writes.

    >>> headline("<!-- ledger -->\\n| a |\\nOf 3 numbers 2.\\n![x](y)\\n<!-- end of ledger -->")
    'Of 3 numbers 2.\\n'
    """
    block = readme.partition("<!-- ledger -->")[2].partition("<!-- end of ledger -->")[0]
    lines = [line for line in block.splitlines() if line and line[0] not in "|!<"]
    return "\n".join(lines) + "\n"


def describe_book(profile: str) -> str:
    """A sentence for the first page: which profile, seeds and data this book shows."""
    facts = provenance(profile).values()
    given = [fact["parameters"]["seeds"] for fact in facts if fact["page"] == "physionet/mitdb"]
    seeds = [str(seed) for of_page in given for seed in of_page]
    words = {
        "real": "the paper's own data",
        "substitute": "substitutes",
        "unverified": "files that could not be verified",
        "simulated": "simulated data",
    }
    cards = [card for fact in facts for card in fact["cards"]]
    data = "; ".join(
        f"{said}: {', '.join(names)}"
        for source, said in words.items()
        if (names := sorted({card["name"] for card in cards if card["source"] == source}))
    )
    return (
        f"This book was built in the *{profile}* profile with the "
        f"{'seed' if len(seeds) == 1 else 'seeds'} {' '.join(seeds)}, from {data}.\n"
    )


def render(profile: str) -> None:
    """Render a profile's book with warnings as errors and check that every page is there."""
    require_jupyter_book_1(version("jupyter-book"))
    folder = gather(profile)
    pages = contents_of(yaml.safe_load((folder / "book" / "_toc.yml").read_text()))
    # Sphinx takes what an interrupted build left half written for finished, so begin anew then.
    unpublished, whole = folder / "sphinx", folder / "sphinx" / "whole"
    # It does not notice a changed extension either.
    changed = [path.stat().st_mtime for path in (folder / "book" / "_extensions").glob("*.py")]
    if not whole.exists() or whole.stat().st_mtime < max(changed, default=0):
        shutil.rmtree(unpublished, ignore_errors=True)
    whole.unlink(missing_ok=True)
    run_jupyter_book(folder, "--path-output", str(unpublished), "-W", "--keep-going", "-q")
    whole.touch()
    built = unpublished / "_build" / "html"
    # Redirections of Jupyter Book and of sphinx-reredirects have neither doctype nor title.
    config = yaml.safe_load((folder / "_config.yml").read_text())
    moved = config.get("sphinx", {}).get("config", {}).get("redirects", {})
    for old, new in {"index": f"{pages[0]}.html", **moved}.items():
        (built / f"{old}.html").write_text(
            f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
            f"<title>{config['title']}</title>"
            f'<meta http-equiv="refresh" content="0; url={new}"></head></html>\n'
        )
    missing = [page for page in pages if not (built / f"{page}.html").exists()]
    if missing:
        raise PageError(f"the book was rendered without these pages of book/_toc.yml: {missing}")
    replace_folder(built, folder / "html")


def require_jupyter_book_1(installed: str) -> None:
    """Jupyter Book 2 is another program: it would ignore _config.yml and make another book."""
    if int(installed.split(".")[0]) >= 2:
        raise PageError(
            f"jupyter-book: {installed} is installed, not 1.x. Make the environment with "
            "`make env`, or run: pip install 'jupyter-book<2'"
        )


def run_jupyter_book(folder: Path, *options: str) -> None:
    """Build the book in a folder; PageError with what the program said if it fails."""
    command = ["jupyter-book", "build", "book", "--config", "_config.yml", *options]
    # The page of the API imports the modules: those of this folder, whatever is installed.
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    program = Path(sys.executable).with_name(command[0])
    environment = {**os.environ, "PYTHONPATH": paths}
    build = subprocess.run([program, *command[1:]], cwd=folder, env=environment)
    if build.returncode:
        raise PageError(f"`{' '.join(command)}` found errors or warnings; they are printed above")


def replace_folder(source: Path, target: Path) -> None:
    """Put a whole copy of a folder in the place of another."""
    fresh, before = (target.with_name(f"{target.name}-{when}") for when in ("fresh", "before"))
    for folder in (fresh, before):
        shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(source, fresh)
    if target.exists():
        os.replace(target, before)
    os.replace(fresh, target)
    shutil.rmtree(before, ignore_errors=True)


def publish(profile: str) -> None:
    """Make ``_build/html`` the book of a profile, unless it is that book already."""
    html, first = BUILD / profile / "html", "intro.html"
    shown, stamp = BUILD / "html", BUILD / "html" / ".book"
    facts = json.dumps([profile, (html / first).stat().st_mtime_ns])
    if not stamp.exists() or stamp.read_text() != facts:
        replace_folder(html, shown)
        stamp.write_text(facts)
    print(f"the book of the {profile} profile is {(shown / 'index.html').relative_to(ROOT)}")


def print_pdf(profile: str) -> None:
    """Print the book as one PDF, `_build/book.pdf`, through headless Chromium."""
    names = ["chromium", "chromium-browser", "google-chrome"]
    chromium = next(filter(None, map(shutil.which, names)), None)
    if chromium is None:
        raise PageError(
            f"pdf: no Chromium to print with, {' or '.join(names)}, is installed. Install it, for "
            "example by `apt install chromium`"
        )
    folder = gather(profile)
    output = folder / "single"
    run_jupyter_book(folder, "--path-output", str(output), "--builder", "singlehtml", "-q")
    page = output / "_build/singlehtml/index.html"
    unfinished, pdf = BUILD / "unfinished.pdf", BUILD / "book.pdf"
    unfinished.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as user:
        options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={user}"]
        # Equations are typeset by a script, which needs its time.
        options += ["--virtual-time-budget=60000", "--no-pdf-header-footer"]
        options += [f"--print-to-pdf={unfinished}", page.as_uri()]
        printed = subprocess.run([chromium, *options], capture_output=True, text=True)
    if printed.returncode or not unfinished.exists():
        raise PageError(f"{chromium} could not print {page}: {printed.stderr[-500:]}")
    os.replace(unfinished, pdf)
    print(f"{pdf.relative_to(ROOT)}: {pdf.stat().st_size / 1e6:.1f} MB")
