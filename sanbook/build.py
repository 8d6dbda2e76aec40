"""What Make calls to make the book: decide what is stale, execute a page, render the pages.

    python sanbook.build.py key NOTEBOOK PAGE [--depends PATH ...] [name=value ...]
    python sanbook.build.py page KEY
    python sanbook.build.py html
    python sanbook.build.py pdf
    python sanbook.build.py slowest

A page is a notebook executed by papermill with the parameters of one data set. Its key is a file
that names all it depends on by content; Make executes a page when its key has changed. Where a page
comes from is kept in `_build/results/provenance/` and written under it.
"""

import argparse
import ast
import hashlib
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import date
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parent.parent
BUILD = Path("_build")
PROVENANCE = BUILD / "results" / "provenance"
HTML = BUILD / "html"
FIGURES = Path("book/figures")
# What numbers depend on besides our own code.
LIBRARIES = ["torch", "numpy", "scipy", "pandas", "wfdb", "scikit-learn"]
MODULES = [
    "sanbook.pages.py",
    "san_core.py",
    "sanbook.data.py",
    "sanbook.fetch.py",
    "sanbook.training.py",
    "sanbook.build.py",
    "data/manifest.toml",  # sanbook.data reads it
]


class PageError(Exception):
    """A page could not be made; the message says which, where and why."""


# --- is a page stale? -----------------------------------------------------------------------------


def write_key(notebook: str, page: str, depends: list[str], parameters: dict[str, str]) -> Path:
    """Write the key of a page, or leave it untouched if it is the same as before.

    ``depends`` are files and directories besides the notebook, the modules and the lock file.
    """
    files = [Path(notebook), Path("requirements.txt"), *map(Path, MODULES)]
    for path in map(Path, depends):
        files += sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    contents = {
        "notebook": notebook,
        "page": page,
        "parameters": parameters,
        "depends": depends,
        "sha256": {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in files if p.exists()},
    }
    key = BUILD / "keys" / Path(page).relative_to("book").with_suffix(".json")
    text = json.dumps(contents, indent=1)
    if not key.exists() or key.read_text() != text:
        key.parent.mkdir(parents=True, exist_ok=True)
        key.write_text(text)
    return key


# --- execute a page -------------------------------------------------------------------------------


def make_page(key: Path) -> None:
    """Execute the page of a key; the page appears whole or not at all."""
    import nbformat
    import papermill

    contents = json.loads(key.read_text())
    notebook, page = contents["notebook"], Path(contents["page"])
    defaults = {
        name: ast.literal_eval(info["default"])
        for name, info in papermill.inspect_notebook(notebook).items()
    }
    parameters = typed_parameters(notebook, defaults, contents["parameters"])
    unfinished = BUILD / "unfinished" / page.relative_to("book")
    unfinished.parent.mkdir(parents=True, exist_ok=True)
    page.parent.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    try:
        papermill.execute_notebook(
            notebook,
            unfinished,
            parameters,
            kernel_name="python3",
            cwd=ROOT,
            progress_bar=False,
            extra_arguments=["--log-level=CRITICAL"],  # of the kernel's own log only
        )
    except papermill.PapermillExecutionError as error:
        raise PageError(
            f"{page} failed in cell {error.cell_index + 1} of {notebook}: {error.ename}: "
            f"{error.evalue}\n\n{error.source}\n\nThe cells up to there are in {unfinished}."
        ) from None
    FIGURES.mkdir(parents=True, exist_ok=True)
    executed = nbformat.read(unfinished, as_version=4)
    facts = provenance(contents, executed, time.perf_counter() - started)
    finish(executed, defaults, parameters, facts)
    nbformat.write(executed, unfinished)
    kept = PROVENANCE / page.relative_to("book").with_suffix(".json")
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps(facts, indent=1))
    os.replace(unfinished, page)
    print(f"{page}: {facts['seconds']:.1f} s, {facts['peak_megabytes']:.0f} MB")


def typed_parameters(notebook: str, defaults: dict, texts: dict[str, str]) -> dict:
    """Parameters from the command line in the types of the notebook's defaults.

    papermill only warns of a parameter that the notebook does not have and runs with the default;
    here it is an error.
    """
    unknown = sorted(set(texts) - set(defaults))
    if unknown:
        raise PageError(f"{notebook} has the parameters {sorted(defaults)}, but not {unknown}")
    parameters = {}
    for name, text in texts.items():
        default = defaults[name]
        of_list = isinstance(default, list)
        kind = type(default[0] if of_list else default)
        try:
            parameters[name] = [kind(item) for item in text.split()] if of_list else kind(text)
        except ValueError:
            raise PageError(
                f"{notebook}: expected {kind.__name__} for {name}, but got {text!r}"
            ) from None
    return parameters


def provenance(contents: dict, executed, seconds: float) -> dict:
    """Where an executed page comes from; ``contents`` are those of its key.

    ``cards`` are those of the data sets that the page showed as its source.
    """
    page = contents["page"]
    outputs = [output for cell in executed.cells for output in cell.get("outputs", [])]
    cards = [card for output in outputs for card in output.get("metadata", {}).get("cards", [])]
    return {
        "page": page,
        "date": date.today().isoformat(),
        **checkout(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in LIBRARIES},
        "device": f"cpu ({platform.machine()}, {os.cpu_count()} processors, "
        f"{os.environ.get('OMP_NUM_THREADS', 'all')} of them for this page)",
        "seconds": seconds,
        "peak_megabytes": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024,
        "command": f"rm -f {page}; make {page} {os.environ.get('SWITCHES', '')}".strip(),
        **{name: contents[name] for name in ("notebook", "parameters", "depends")},
        "cards": cards,
    }


def checkout() -> dict:
    """The commit of this folder and whether tracked files were changed since; None without git."""
    try:
        git = ["git", "-C", str(ROOT)]
        commit = subprocess.check_output([*git, "rev-parse", "HEAD"], stderr=subprocess.DEVNULL)
        changed = subprocess.check_output([*git, "status", "--porcelain", "--untracked-files=no"])
    except (OSError, subprocess.CalledProcessError):
        return {"commit": None, "uncommitted_changes": None}
    return {"commit": commit.decode().strip(), "uncommitted_changes": bool(changed)}


def finish(executed, defaults: dict, parameters: dict, facts: dict) -> None:
    """Turn an executed notebook into a page of the book.

    The page's title names the page's own data instead of the notebook's default; captions, labels
    and text alternatives go from the outputs, where a notebook can compute them, to the cells,
    where Jupyter Book looks for them; what changes with each run is left out, and the page's
    provenance comes last.
    """
    import nbformat

    heading, newline, rest = executed.cells[0].source.partition("\n")
    for name, default in defaults.items():
        if isinstance(default, str) and default and name in parameters:
            heading = heading.replace(default, parameters[name])
    executed.cells[0].source = heading + newline + rest
    for cell in executed.cells:
        cell.metadata.pop("papermill", None)
        if {"parameters", "injected-parameters"} & set(cell.metadata.get("tags", [])):
            cell.metadata["tags"] = [*cell.metadata["tags"], "hide-input"]
        for output in cell.get("outputs", []):
            figure = output.get("metadata", {}).get("image/svg+xml", {})
            if "alt" in figure:
                # As a file too, for pages that are not notebooks.
                (FIGURES / f"{figure['name']}.svg").write_text(output["data"]["image/svg+xml"])
                cell.metadata["mystnb"] = {
                    "image": {"alt": figure["alt"]},
                    "figure": {"caption": figure["caption"], "name": figure["name"]},
                }
    executed.metadata.pop("papermill", None)
    executed.cells.append(nbformat.v4.new_markdown_cell(footer(facts), id="provenance"))


def footer(facts: dict) -> str:
    """The provenance of a page in Markdown, folded."""
    up = "../" * facts["page"].count("/")  # from the page to the project
    below_book = Path(facts["page"]).relative_to("book")
    source = "../" * (len(below_book.parts) - 1) + f"_sources/{below_book}"  # put there by Sphinx
    lines = [f"**Data**: {describe_data(card)}" for card in facts["cards"]]
    if not lines:
        inputs = [f"`{path}`" for path in facts["depends"]]
        lines.append(f"**Made from**: {', '.join(inputs) or 'no data'}")
    code = "not under version control"
    if facts["commit"]:
        changes = ", with uncommitted changes" if facts["uncommitted_changes"] else ""
        code = f"commit `{facts['commit'][:12]}`{changes}"
    lines.append(f"**Code**: {code}; executed on {facts['date']}")
    if "seeds" in facts["parameters"]:
        lines.append(f"**Seeds**: {facts['parameters']['seeds']}")
    versions = ", ".join(f"{name} {number}" for name, number in facts["versions"].items())
    lines += [
        f"**Versions**: Python {facts['python']}, {versions}",
        f"**Device**: {facts['device']}",
        f"**Cost**: {facts['seconds']:.0f} s, {facts['peak_megabytes']:.0f} MB at most",
        f"**Make it again**: `{facts['command']}`",
        f"**Notebook**: {{download}}`without outputs <{up}{facts['notebook']}>`, "
        f'<a class="download" href="{source}" download>with outputs</a>',
    ]
    bullets = "\n".join(f"- {line}" for line in lines)
    return f":::{{dropdown}} How this page was made\n{bullets}\n:::"


def describe_data(card: dict) -> str:
    """A data set in a line: name, source, version, whose bytes, hashes."""
    if card["source"] == "simulated":
        return f"{card['name']}, **simulated** by {card['simulator']}, seed {card['seed']}"
    files = ", ".join(f"{file} `{sha256[:16]}…`" for file, sha256 in card["sha256"].items())
    if card["source"] == "own":
        return f"{card['name']}, a signal of your own; sha256 {files}"
    kind = card["source"] if card["source"] == "real" else f"**{card['source']}**"
    return (
        f"{card['name']}, {kind}, version {card['version']}, {card['origin']} bytes; sha256 {files}"
    )


# --- render ---------------------------------------------------------------------------------------


def require_jupyter_book_1(installed: str) -> None:
    """Jupyter Book 2 is another program: it would ignore _config.yml and make another book."""
    if int(installed.split(".")[0]) >= 2:
        raise PageError(
            f"expected Jupyter Book 1.x, but {installed} is installed; make the environment with "
            "`make env`, or run: pip install 'jupyter-book<2'"
        )


def contents_of(entry: dict) -> list[str]:
    """All pages below an entry of the table of contents."""
    pages = [entry[key] for key in ("root", "file") if key in entry]
    for group in ("parts", "chapters", "sections"):
        for child in entry.get(group, []):
            pages += contents_of(child)
    return pages


def render() -> None:
    """Render the book with warnings as errors and check that every page is there."""
    import yaml

    require_jupyter_book_1(version("jupyter-book"))
    pages = contents_of(yaml.safe_load(Path("book/_toc.yml").read_text()))
    # Sphinx takes what an interrupted build left half written for finished, so begin anew then.
    unpublished, whole = BUILD / "book", BUILD / "book" / "whole"
    # It does not notice a changed extension either.
    changed = [path.stat().st_mtime for path in Path("book/_extensions").glob("*.py")]
    if not whole.exists() or whole.stat().st_mtime < max(changed, default=0):
        shutil.rmtree(unpublished, ignore_errors=True)
    whole.unlink(missing_ok=True)
    run_jupyter_book("--path-output", str(unpublished), "-W", "--keep-going", "-q")
    whole.touch()
    built = unpublished / "_build" / "html"
    # Jupyter Book's own redirection has neither doctype nor title.
    title = yaml.safe_load(Path("_config.yml").read_text())["title"]
    (built / "index.html").write_text(
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta http-equiv="refresh" content="0; url={pages[0]}.html"></head></html>\n'
    )
    missing = [page for page in pages if not (built / f"{page}.html").exists()]
    if missing:
        raise PageError(f"the book was rendered without these pages of book/_toc.yml: {missing}")
    publish(built)
    print(f"{len(pages)} pages in {HTML / 'index.html'}")


def run_jupyter_book(*options: str) -> None:
    """Build the book; PageError if the program fails."""
    command = ["jupyter-book", "build", "book", "--config", "_config.yml", *options]
    # The page of the API imports the modules: those of this folder, whatever is installed.
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    program = Path(sys.executable).with_name(command[0])
    build = subprocess.run([program, *command[1:]], env={**os.environ, "PYTHONPATH": paths})
    if build.returncode:
        raise PageError(f"`{' '.join(command)}` found errors or warnings; they are printed above")


def print_pdf() -> None:
    """Print the book as one PDF, `_build/book.pdf`, through headless Chromium."""
    names = ["chromium", "chromium-browser", "google-chrome"]
    chromium = next(filter(None, map(shutil.which, names)), None)
    if chromium is None:
        raise PageError(
            f"expected Chromium to print with, as one of {', '.join(names)}, but found none; "
            "install it, for example by `apt install chromium`"
        )
    run_jupyter_book("--path-output", str(BUILD / "single"), "--builder", "singlehtml", "-q")
    page = (BUILD / "single/_build/singlehtml/index.html").resolve()
    unfinished, pdf = BUILD / "unfinished.pdf", BUILD / "book.pdf"
    unfinished.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as profile:
        options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}"]
        # Equations are typeset by a script, which needs its time.
        options += ["--virtual-time-budget=60000", "--no-pdf-header-footer"]
        options += [f"--print-to-pdf={unfinished.resolve()}", page.as_uri()]
        printed = subprocess.run([chromium, *options], capture_output=True, text=True)
    if printed.returncode or not unfinished.exists():
        raise PageError(f"{chromium} could not print {page}: {printed.stderr[-500:]}")
    os.replace(unfinished, pdf)
    print(f"{pdf}: {pdf.stat().st_size / 1e6:.1f} MB")


def publish(built: Path) -> None:
    """Put a whole copy of the rendered book in the place of the one before."""
    fresh, before = BUILD / "html-fresh", BUILD / "html-before"
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.rmtree(before, ignore_errors=True)
    shutil.copytree(built, fresh)
    if HTML.exists():
        os.replace(HTML, before)
    os.replace(fresh, HTML)
    shutil.rmtree(before, ignore_errors=True)


def print_slowest() -> None:
    """Print what the most expensive pages cost."""
    costs = [json.loads(path.read_text()) for path in PROVENANCE.rglob("*.json")]
    costs.sort(key=lambda cost: -cost["seconds"])
    for cost in costs[:5]:
        print(f"{cost['seconds']:7.1f} s  {cost['peak_megabytes']:6.0f} MB  {cost['page']}")


def main() -> None:
    """Read the command line and do what Make asks for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    key = commands.add_parser("key")
    key.add_argument("notebook")
    key.add_argument("page")
    key.add_argument("parameters", nargs="*", metavar="name=value")
    key.add_argument("--depends", nargs="*", default=[])
    commands.add_parser("page").add_argument("key", type=Path)
    commands.add_parser("html")
    commands.add_parser("pdf")
    commands.add_parser("slowest")
    options = parser.parse_args()
    os.chdir(ROOT)
    try:
        match options.command:
            case "key":
                parameters = dict(text.split("=", 1) for text in options.parameters)
                write_key(options.notebook, options.page, options.depends, parameters)
            case "page":
                make_page(options.key)
            case "html":
                render()
            case "pdf":
                print_pdf()
            case "slowest":
                print_slowest()
    except PageError as error:
        sys.exit(f"sanbook.build: {error}")
    except OSError as error:
        sys.exit(
            f"sanbook.build: {error}; mend that and run make again, which makes what is missing"
        )
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
