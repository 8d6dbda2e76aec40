"""Execute one page: a notebook with parameters, published whole or not at all, with its provenance.

    python -m sanbook.build.execute < SPECIFICATION

executes a page in a process of its own, so that it has its own threads and its memory can be told.
The specification is a line of JSON with the fields of `Specification`. The process ends with the
one that started it: when the rest of its standard input is closed.
"""

import ast
import dataclasses
import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from datetime import date
from importlib.metadata import version
from pathlib import Path

import nbformat
import papermill
from traitlets.config import Config

ROOT = Path(__file__).parent.parent.parent
# What numbers depend on besides our own code.
LIBRARIES = ("torch", "torchvision", "numpy", "numba", "scipy", "pandas", "wfdb", "scikit-learn")
# Seconds that a kernel may take to start: it reads its libraries from a disk that others use too.
STARTING = 300
# The kernel writes its peak memory after each cell, by a line that leaves no names in it. Seen from
# outside it would be 110 MB more, as torch reads its CUDA libraries once more to unload them.
WRITE_PEAK = (
    "get_ipython().events.register('post_run_cell', lambda _: __import__('pathlib').Path({!r})."
    "write_text(str(__import__('resource').getrusage(0).ru_maxrss)))  # 0: of itself"
)


class PageError(Exception):
    """A page could not be made; the message says which, where and why."""


@dataclasses.dataclass(frozen=True)
class Specification:
    """What is executed: ``notebook`` with ``parameters`` becomes the page ``name`` in ``folder``.

    ``name`` is the page's place in the book, such as "physionet/mitdb". ``folder`` and ``notebook``
    are relative to the project. ``inputs`` names what the page is made from, and ``command`` makes
    it again; both are for the reader.
    """

    name: str
    notebook: str
    parameters: dict
    folder: str
    inputs: list[str]
    command: str

    @property
    def page(self) -> Path:
        """The executed notebook."""
        return ROOT / self.folder / "pages" / f"{self.name}.ipynb"

    @property
    def provenance(self) -> Path:
        """The record of where the page comes from."""
        return ROOT / self.folder / "results" / "provenance" / f"{self.name}.json"


def execute_page(specification: Specification) -> None:
    """Execute a page; PageError names the cell that failed, and no page appears."""
    notebook, page = ROOT / specification.notebook, specification.page
    defaults = {
        name: ast.literal_eval(info["default"])
        for name, info in papermill.inspect_notebook(notebook).items()
    }
    # papermill only warns of a parameter that the notebook does not have.
    unknown = sorted(set(specification.parameters) - set(defaults))
    if unknown:
        raise PageError(f"{notebook.name} has the parameters {sorted(defaults)}, but not {unknown}")
    unfinished = ROOT / specification.folder / "unfinished" / f"{specification.name}.ipynb"
    for path in (unfinished, page, specification.provenance):
        path.parent.mkdir(parents=True, exist_ok=True)
    at_start = {"date": date.today().isoformat(), **checkout()}
    started = time.perf_counter()
    try:
        with tempfile.TemporaryDirectory(prefix="kernel-") as folder:
            peak = Path(folder) / "peak"
            papermill.execute_notebook(
                notebook,
                unfinished,
                specification.parameters,
                kernel_name="python3",
                cwd=ROOT,
                progress_bar=False,
                start_timeout=STARTING,
                extra_arguments=[
                    "--log-level=CRITICAL",  # of the kernel's own log only
                    f"--IPKernelApp.exec_lines={WRITE_PEAK.format(str(peak))}",
                ],
                # Two kernels that start at the same moment may be given the same TCP port. Each has
                # sockets in a folder of its own instead.
                config=Config(KernelManager={"transport": "ipc", "ip": f"{folder}/kernel"}),
            )
            peak_megabytes = int(peak.read_text()) / 1024
    except papermill.PapermillExecutionError as error:
        raise PageError(
            f"cell {error.cell_index + 1} of {specification.notebook} failed: {error.ename}: "
            f"{error.evalue}\n\n{error.source}\n\nThe cells up to there are in "
            f"{unfinished.relative_to(ROOT)}."
        ) from None
    executed = nbformat.read(unfinished, as_version=4)
    facts = {
        "page": specification.name,
        **at_start,
        "seconds": time.perf_counter() - started,
        "peak_megabytes": peak_megabytes,
        **describe_machine(),
        **{
            name: getattr(specification, name)
            for name in ("notebook", "parameters", "inputs", "command")
        },
        "cards": shown_cards(executed),
        "warnings": take_warnings(executed),
    }
    finish(executed, defaults, specification, facts)
    nbformat.write(executed, unfinished)
    specification.provenance.write_text(json.dumps(facts, indent=1))
    os.replace(unfinished, page)


def checkout() -> dict:
    """The commit of this folder and whether tracked files were changed since; None without git."""
    try:
        git = ["git", "-C", str(ROOT)]
        commit = subprocess.check_output([*git, "rev-parse", "HEAD"], stderr=subprocess.DEVNULL)
        changed = subprocess.check_output([*git, "status", "--porcelain", "--untracked-files=no"])
    except (OSError, subprocess.CalledProcessError):
        return {"commit": None, "uncommitted_changes": None}
    return {"commit": commit.decode().strip(), "uncommitted_changes": bool(changed)}


def describe_machine() -> dict:
    """Versions and processors, as the provenance of a page has them."""
    threads = os.environ.get("OMP_NUM_THREADS", "all")
    return {
        "python": platform.python_version(),
        "versions": {name: version(name) for name in LIBRARIES},
        "device": f"cpu ({platform.machine()}, {os.cpu_count()} processors, "
        f"{threads} of them for this page)",
    }


def shown_cards(executed) -> list[dict]:
    """The cards of the data sets that an executed notebook showed as its sources."""
    outputs = [output for cell in executed.cells for output in cell.get("outputs", [])]
    shown = [output.get("metadata", {}).get("sanbook", {}) for output in outputs]
    return [card for of_output in shown for card in of_output.get("cards", [])]


def take_warnings(executed) -> list[str]:
    """What an executed notebook wrote to its error stream, taken out of its outputs.

    Warnings name folders of this machine. They stay in the record of where the page comes from.
    """
    warnings = []
    for cell in executed.cells:
        outputs = cell.get("outputs", [])
        warnings += [output["text"] for output in outputs if output.get("name") == "stderr"]
        if outputs:
            cell.outputs = [output for output in outputs if output.get("name") != "stderr"]
    return warnings


def finish(executed, defaults: dict, specification: Specification, facts: dict) -> None:
    """Turn an executed notebook into a page of the book.

    The title names the page's own data instead of the notebook's default, and what stands in for
    them. The findings move from where they were computed to the top. Captions, labels and text
    alternatives move from the outputs, where a notebook can compute them, to the cells, where
    Jupyter Book looks for them. What changes with each run is left out, and the provenance comes
    last. A page of simulated data alone need not be in the contents.
    """
    sources = {card["name"]: card["source"] for card in facts["cards"]}
    heading, newline, rest = executed.cells[0].source.partition("\n")
    for name in ("database", "dataset"):
        if name in defaults and name in specification.parameters:
            own = specification.parameters[name]
            placeholder = sources.get(own) not in (None, "real")
            title = f"{own} ({sources[own]})" if placeholder else own
            heading = heading.replace(defaults[name], title)
    executed.cells[0].source = heading + newline + rest
    if sources and set(sources.values()) == {"simulated"}:
        executed.metadata["orphan"] = True
    figures = ROOT / specification.folder / "pages" / "figures"
    figures.mkdir(exist_ok=True)
    findings = []
    for cell in executed.cells:
        cell.metadata.pop("papermill", None)
        tags = set(cell.metadata.get("tags", []))
        # The style of the book hides these until the reader asks for the code.
        if {"parameters", "injected-parameters", "hide-input"} & tags:
            cell.metadata["tags"] = [*sorted(tags - {"hide-input"}), "set-up"]
        for output in list(cell.get("outputs", [])):
            shown = output.get("metadata", {}).pop("sanbook", None)
            if not shown:
                continue
            output.data = shown["book"]
            kind = shown.get("kind")
            if kind == "figure":
                # As a file too, for pages that are not notebooks.
                (figures / f"{shown['name']}.svg").write_text(output.data["image/svg+xml"])
                cell.metadata["mystnb"] = {
                    "image": {"alt": shown["alt"]},
                    "figure": {"caption": shown["caption"], "name": shown["name"]},
                }
            if kind == "live":
                (figures / f"{shown['name']}.html").write_text(output.data["text/html"])
                output.metadata["live"] = True
            if kind == "findings":
                findings.append(output.data["text/markdown"])
                cell.outputs.remove(output)
    executed.metadata.pop("papermill", None)
    if findings:
        top = nbformat.v4.new_markdown_cell("\n\n".join(findings), id="top-findings")
        executed.cells.insert(1, top)
    executed.cells.append(nbformat.v4.new_markdown_cell(footer(facts), id="provenance"))
    write_without_figures(executed, specification)


def write_without_figures(executed, specification: Specification) -> None:
    """Leave a copy of a page for those who want its code and numbers, a tenth as large."""
    copy = nbformat.from_dict(json.loads(nbformat.writes(executed)))
    for cell in copy.cells:
        if cell.cell_type == "code":
            cell.outputs = [
                output
                for output in cell.outputs
                if "image/svg+xml" not in output.get("data", {})
                and not output.get("metadata", {}).get("live")
            ]
    path = ROOT / specification.folder / "executed" / f"{specification.name}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(copy, path)


def footer(facts: dict) -> str:
    """The provenance of a page in Markdown, folded."""
    depth = facts["page"].count("/")  # of the page below the book
    lines = [f"**Data**: {describe_data(card)}" for card in facts["cards"]]
    if not lines:
        inputs = [f"`{path}`" for path in facts["inputs"]]
        lines.append(f"**Made from**: {', '.join(inputs) or 'no data'}")
    code = "not under version control"
    if facts["commit"]:
        changes = ", with uncommitted changes" if facts["uncommitted_changes"] else ""
        code = f"commit `{facts['commit'][:12]}`{changes}"
    lines.append(f"**Code**: {code}; executed on {facts['date']}")
    if "seeds" in facts["parameters"]:
        lines.append(f"**Seeds**: {' '.join(map(str, facts['parameters']['seeds']))}")
    if facts["warnings"]:
        lines.append(f"**Warnings**: {len(facts['warnings'])}, kept in the record of this page")
    versions = ", ".join(f"{name} {number}" for name, number in facts["versions"].items())
    lines += [
        f"**Versions**: Python {facts['python']}, {versions}",
        f"**Device**: {facts['device']}",
        f"**Cost**: {facts['seconds']:.0f} s, {facts['peak_megabytes']:.0f} MB at most",
        f"**Make it again**: `{facts['command']}`",
        f"**Notebook**: {{download}}`as it is written <{'../' * (depth + 1)}{facts['notebook']}>`, "
        f"{{download}}`as executed, without figures "
        f"<{'../' * depth}executed/{facts['page']}.ipynb>`",
    ]
    bullets = "\n".join(f"- {line}" for line in lines)
    # The line about the data, at the top, leads here.
    return f':::{{dropdown}} How this page was made\n<span id="how-made"></span>\n\n{bullets}\n:::'


def describe_data(card: dict) -> str:
    """A data set in a line: name, source, version, whose bytes, hashes."""
    if card["source"] == "simulated":
        return (
            f"{card['name']}, **simulated** by {card['simulator']}, seed {card['seed']}; "
            f"{card['note']}"
        )
    files = ", ".join(f"{file} `{sha256[:16]}…`" for file, sha256 in card["sha256"].items())
    if card["source"] == "own":
        return f"{card['name']}, a signal of your own; sha256 {files}"
    kind = card["source"] if card["source"] == "real" else f"**{card['source']}**"
    return (
        f"{card['name']}, {kind}, version {card['version']}, {card['origin']} bytes; sha256 "
        f"{files}; {card['note']}"
    )


def end_with_parent() -> None:
    """End this process when nobody holds the other end of its standard input any more."""

    def wait() -> None:
        sys.stdin.read()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def main() -> None:
    """Execute the page that is specified on the first line of standard input."""
    specification = Specification(**json.loads(sys.stdin.readline()))
    end_with_parent()
    try:
        execute_page(specification)
    except PageError as error:
        sys.exit(str(error))
    except OSError as error:
        sys.exit(f"{error}; mend that and run make again, which makes what is missing")


if __name__ == "__main__":
    main()
