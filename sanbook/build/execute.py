"""Execute one page: a notebook with parameters, published whole or not at all, with provenance."""

import ast
import json
import os
import tempfile
import time
from pathlib import Path

import nbformat
import papermill

from sanbook.build import provenance
from sanbook.build.finish import finish
from sanbook.build.graph import Page
from sanbook.build.kernels import kernel_options
from sanbook.build.switches import ROOT, Switches

# Seconds that a kernel may take to start: its libraries may lie on a busy disk.
STARTING = 300


class PageError(Exception):
    """A page could not be made; the message says which, where and why."""


def execute_page(page: Page, switches: Switches) -> None:
    """Execute a page.

    Raises:
        PageError: A cell failed, or the notebook lacks a parameter. The page that was there stays.
    """
    defaults = {
        name: ast.literal_eval(info["default"])
        for name, info in papermill.inspect_notebook(page.template).items()
    }
    # papermill only warns of a parameter that the notebook does not have.
    unknown = sorted(set(page.parameters) - set(defaults))
    if unknown:
        raise PageError(
            f"{page.template.name} has the parameters {sorted(defaults)}, but not {unknown}"
        )
    unfinished = switches.folder / "unfinished" / f"{page.name}.ipynb"
    made, facts_file = page.executed(switches), page.provenance(switches)
    for path in (unfinished, made, facts_file):
        path.parent.mkdir(parents=True, exist_ok=True)
    facts = {"page": page.name, **provenance.start()}
    started = time.perf_counter()
    try:
        with tempfile.TemporaryDirectory(prefix="kernel-") as folder:
            log = Path(folder, "cached", page.name.replace("/", ".."))
            log.parent.mkdir()
            executed = papermill.execute_notebook(
                page.template,
                unfinished,
                page.parameters,
                kernel_name="python3",
                cwd=ROOT,
                progress_bar=False,
                start_timeout=STARTING,
                **kernel_options(folder, log),
            )
            peak = int(Path(f"{log}.peak").read_text()) / 1024
            cached = provenance.read_cached(log)
    except papermill.PapermillExecutionError as error:
        raise PageError(
            f"cell {error.cell_index + 1} of {page.template.relative_to(ROOT)} failed: "
            f"{error.ename}: {error.evalue}\n\n{error.source}\n\nThe cells up to there are in "
            f"{unfinished.relative_to(ROOT)}."
        ) from None
    facts |= {
        "seconds": time.perf_counter() - started,
        "peak_megabytes": peak,
        "cached": cached,
        "notebook": page.template.relative_to(ROOT).as_posix(),
        "parameters": page.parameters,
        "inputs": [*page.files, *page.reads],
        "command": page.command(switches),
        "cards": provenance.shown_cards(executed),
        "warnings": provenance.take_warnings(executed),
    }
    finish(executed, defaults, page.parameters, facts["cards"], switches.folder / "pages/figures")
    executed.cells.append(nbformat.v4.new_markdown_cell(provenance.footer(facts), id="provenance"))
    nbformat.write(executed, unfinished)
    facts_file.write_text(json.dumps(facts, indent=1))
    os.replace(unfinished, made)
