"""A Sphinx extension: the search puts the page that a reader wants first.

A page names its key words in its front matter, a notebook in its metadata, as ``keywords``. They
are looked for as if they stood in the text, and go into ``scorer.js``, which Sphinx's search asks
for the weight of what it found.
"""

import json
from pathlib import Path

from docutils import nodes


def index_keywords(app, doctree) -> None:
    """Add the key words of a page to what is searched, as HTML's own kind of them."""
    if words := app.env.metadata[app.env.docname].get("keywords"):
        doctree.append(nodes.meta("", name="keywords", content=words))


def write_scorer(app, env) -> None:
    """Put the key words into the script, before the search index is made."""
    keywords = {
        page: [word.strip().lower() for word in metadata["keywords"].split(",")]
        for page, metadata in env.metadata.items()
        if "keywords" in metadata
    }
    source = Path(__file__).with_name("scorer.js").read_text()
    scorer = Path(app.doctreedir) / "scorer.js"
    scorer.write_text(source.replace("/* KEYWORDS */ {}", json.dumps(keywords)))
    app.config.html_search_scorer = str(scorer)


def setup(app) -> dict:
    """Called by Sphinx."""
    app.connect("doctree-read", index_keywords)
    app.connect("env-updated", write_scorer)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
