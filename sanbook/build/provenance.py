"""How a page was made: commit, machine, libraries, data, cost, and what came from the cache."""

import functools
import json
import os
import platform
from datetime import date
from pathlib import Path

from sanbook.code import commit, version_of

# What numbers depend on besides our own code; a test holds this to what the modules import.
LIBRARIES = ["torch", "torchvision", "numpy", "numba", "scipy", "pandas", "wfdb", "scikit-learn",
             "PyWavelets", "sporco", "neurokit2", "soundfile", "safetensors"]  # fmt: skip


@functools.cache
def versions() -> dict[str, str]:
    """The versions of `LIBRARIES`; what is not installed is left out."""
    return {name: number for name in LIBRARIES if (number := version_of(name))}


def start() -> dict:
    """What is known when a page begins: date, machine, and commit, which is None without git.

    ``uncommitted_changes`` says whether files that git tracks were changed since the commit.
    """
    threads = os.environ.get("OMP_NUM_THREADS", "all")
    now = commit()
    return {
        "date": date.today().isoformat(),
        "python": platform.python_version(),
        "versions": versions(),
        "device": f"cpu ({platform.machine()}, {os.cpu_count()} processors, "
        f"{threads} of them for this page)",
        "commit": now and now.removesuffix("-dirty"),
        "uncommitted_changes": now and now.endswith("-dirty"),
    }


def shown_cards(executed) -> list[dict]:
    """The cards of the data sets that an executed notebook showed as its sources."""
    outputs = [output for cell in executed.cells for output in cell.get("outputs", [])]
    shown = [output.get("metadata", {}).get("sanbook", {}) for output in outputs]
    return [card for of_output in shown for card in of_output.get("cards", [])]


def take_warnings(executed) -> list[str]:
    """What an executed notebook wrote to its error stream, taken out of its outputs.

    Warnings name folders of this machine. They stay in the provenance file of the page.
    """
    warnings = []
    for cell in executed.cells:
        outputs = cell.get("outputs", [])
        warnings += [output["text"] for output in outputs if output.get("name") == "stderr"]
        if outputs:
            cell.outputs = [output for output in outputs if output.get("name") != "stderr"]
    return warnings


def read_cached(log: Path) -> list[dict]:
    """What a page took from the cache (`sanbook.training.cache`), from the cache's log.

    Each line of ``log`` is in JSON: how many ``parts`` of a result, whether they were ``cached``,
    and the commit, the date and the seconds of their computation.
    """
    uses = map(json.loads, log.read_text().splitlines()) if log.exists() else []
    return [use for use in uses if use["cached"]]


def footer(facts: dict) -> str:
    """The provenance of a page in Markdown, folded."""
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
        lines.append(f"**Warnings**: {len(facts['warnings'])}, kept in the provenance file")
    numbers = ", ".join(f"{name} {number}" for name, number in facts["versions"].items())
    lines += [
        f"**Versions**: Python {facts['python']}, {numbers}",
        f"**Device**: {facts['device']}",
        f"**Cost**: {facts['seconds']:.0f} s, {facts['peak_megabytes']:.0f} MB at most",
    ]
    if facts["cached"]:
        lines.append(f"**From the cache**: {describe_cached(facts['cached'])}")
    up = "../" * (facts["page"].count("/") + 1)  # from the page to the project
    lines += [
        f"**Make it again**: `{facts['command']}`",
        f"**Notebook**: {{download}}`as it is written <{up}{facts['notebook']}>`",
    ]
    bullets = "\n".join(f"- {line}" for line in lines)
    # The line about the data, at the top, leads here.
    return f':::{{dropdown}} How this page was made\n<span id="how-made"></span>\n\n{bullets}\n:::'


def describe_cached(uses: list[dict]) -> str:
    """What came from the cache in a phrase: how much, when, by which commits, at what cost.

    >>> use = {"parts": 2, "date": "2026-01-02T03:04:05", "commit": "abc", "seconds": 61.2}
    >>> describe_cached([use])
    '2 results, computed from 2026-01-02 to 2026-01-02 by commit `abc` in 61 s of processor time'
    """
    dates = sorted(use["date"][:10] for use in uses)
    commits = sorted({f"`{use['commit'][:12]}`" for use in uses if use["commit"]})
    code = f" by commit {', '.join(commits)}" if commits else ""
    seconds = sum(use["seconds"] for use in uses)
    count = sum(use["parts"] for use in uses)
    results = "1 result" if count == 1 else f"{count} results"
    when = f"computed from {dates[0]} to {dates[-1]}"
    return f"{results}, {when}{code} in {seconds:.0f} s of processor time"


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
