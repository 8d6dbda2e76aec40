"""A Sphinx extension: pages that load nothing from the network, and no more than they use."""

import shutil
from importlib.metadata import files
from pathlib import Path

# Draws equations as SVG: Firefox loads no fonts for a page that was opened as a file.
MATHJAX = "mathjax/tex-svg.js"


def copy_mathjax(app, exception) -> None:
    """Copy the one script that typesets equations from the package that brings MathJax."""
    if exception is None:
        (script,) = [f for f in files("sphinx-mathjax-offline") if str(f).endswith(MATHJAX)]
        target = Path(app.outdir, "_static", MATHJAX)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(script.locate(), target)


def drop_source_maps(app, exception) -> None:
    """Leave out what only those who mend the theme's scripts need, a twentieth of the book."""
    for path in Path(app.outdir, "_static").rglob("*.map"):
        path.unlink()


def setup(app) -> dict:
    """Called by Sphinx."""
    app.config.mathjax_path = MATHJAX
    app.connect("build-finished", copy_mathjax)
    app.connect("build-finished", drop_source_maps)
    # Jupyter Book always adds Thebe, which runs cells on a server, though no button starts it here.
    for listeners in list(app.events.listeners.values()):
        for listener in list(listeners):
            if listener.handler.__module__ == "sphinx_thebe":
                app.disconnect(listener.id)
    sheets = app.registry.css_files  # (name, attributes)
    sheets[:] = [sheet for sheet in sheets if sheet[0] != "sphinx-thebe.css"]
    return {"parallel_read_safe": True, "parallel_write_safe": True}
