"""A Sphinx extension: the search puts the page that a reader wants first.

Each page of prose names its key words in its front matter, as HTML has them (``html_meta``,
``keywords``). They and the kind of a page go into ``scorer.js``, which Sphinx's search asks for the
weight of what it found.
"""

import json
from pathlib import Path

from docutils import nodes


def collect(app, doctree) -> None:
    """Note the key words of a page."""
    words = {
        word.strip().lower()
        for meta in doctree.findall(nodes.meta)
        if meta.get("name") == "keywords"
        for word in meta["content"].split(",")
    }
    noted = app.env.__dict__.setdefault("page_keywords", {})
    noted.pop(app.env.docname, None)
    if words:
        noted[app.env.docname] = sorted(words)


def merge(app, env, docnames, other) -> None:
    """Take over what a parallel reader noted."""
    env.__dict__.setdefault("page_keywords", {}).update(other.__dict__.get("page_keywords", {}))


def write_scorer(app, env) -> None:
    """Put the key words into the script, before the search index is made."""
    source = Path(__file__).with_name("scorer.js")
    scorer = Path(app.doctreedir) / "scorer.js"
    keywords = json.dumps(env.__dict__.get("page_keywords", {}), ensure_ascii=False)
    scorer.write_text(source.read_text().replace("/* KEYWORDS */ {}", keywords))
    app.config.html_search_scorer = str(scorer)


def setup(app) -> dict:
    """Called by Sphinx."""
    app.connect("doctree-read", collect)
    app.connect("env-merge-info", merge)
    app.connect("env-updated", write_scorer)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
