"""Open the notebooks in JupyterLab, as copies: what is run and changed there leaves the book alone.

    python -m sanbook.build.lab

The copies are in ``_build/lab``. One that is there already stays, with what was changed in it. A
link to a page of the book leads to the notebook that makes the page, if there is one.
"""

import os
import re
import sys
from pathlib import Path

from sanbook.code import ROOT

LAB = ROOT / "_build" / "lab"
PAGE = re.compile(r"\{doc\}`(?P<text>[^`<]+?) *</?(?P<page>[\w/]+)>`")


def copy_notebooks(source: Path = ROOT / "notebooks", target: Path = LAB) -> list[str]:
    """Copy the notebooks that are not there yet; say of each copy that is older than its source."""
    said = []
    for notebook in sorted(source.rglob("*.ipynb")):
        name = notebook.relative_to(source)
        if ".ipynb_checkpoints" in name.parts:
            continue
        copy = target / name
        if not copy.exists():
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(
                _linked(notebook.read_text(encoding="utf-8"), name.parent, source), "utf-8"
            )
        elif copy.stat().st_mtime < notebook.stat().st_mtime:
            said.append(f"{copy}: older than {notebook}. Delete the copy to get the new notebook.")
    return said


def _linked(text: str, folder: Path, source: Path) -> str:
    """The text of a notebook in a folder below ``source``, with links instead of roles."""

    def link(role: re.Match) -> str:
        page = role["page"]
        if (ROOT / "book" / f"{page}.md").is_file():  # a text, whose role JupyterLab shows as words
            return role[0]
        # A page without a notebook of its own is made by one for several data sets.
        for name in (page, page.split("/")[0], "labelled"):
            if (source / f"{name}.ipynb").is_file():
                path = Path(os.path.relpath(f"{name}.ipynb", folder)).as_posix()
                return f"[{role['text']}]({path})"
        return role[0]

    return PAGE.sub(link, text)


def main() -> None:
    """Copy the notebooks and become JupyterLab, with one thread for each computation.

    Threads that wait for each other on busy cores take several times as long; `sweep` and the
    classifiers divide their work among processors themselves.
    """
    for line in copy_notebooks():
        print(line)
    paths = filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)
    for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    os.environ["SAN_PROGRESS"] = "shown"  # `sanbook.training.sweep` shows a bar
    options = ["--notebook-dir", str(LAB), "--LabApp.default_url=/lab/tree/00_start.ipynb"]
    os.execv(sys.executable, [sys.executable, "-m", "jupyterlab", *options, *sys.argv[1:]])


if __name__ == "__main__":
    main()
