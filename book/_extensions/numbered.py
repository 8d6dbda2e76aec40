"""A Sphinx extension: tables and interactive figures of the notebooks have numbers.

`sanbook.show` writes both as HTML with a caption that has a label. Here these become a
caption and a label that Sphinx knows, so that each is counted beside its like in the pages of prose
and can be referred to.
"""

import html
import re

from docutils import nodes
from sphinx.transforms import SphinxTransform

CAPTION = re.compile('<(caption|figcaption) id="([^"]*)">(.*?)</\\1>')


class results_table(nodes.figure):  # noqa: N801  as docutils names its nodes
    """A caption, and below it a table as raw HTML."""


class NumberOutputs(SphinxTransform):
    """Turn HTML with a caption into a numbered table or figure."""

    default_priority = 210

    def apply(self, **kwargs) -> None:
        """Called by Sphinx for each page."""
        for raw in list(self.document.findall(nodes.raw)):
            if found := CAPTION.search(raw.astext()):
                kind, label, caption = found.groups()
                numbered = results_table if kind == "caption" else nodes.figure
                node = numbered(names=[label])
                raw.replace_self(node)
                content = nodes.raw("", raw.astext().replace(found[0], ""), format="html")
                heading = nodes.caption("", html.unescape(caption))
                # That of a figure stands below it, as those of pictures do.
                node += [heading, content] if kind == "caption" else [content, heading]
                self.document.note_explicit_target(node)


def setup(app) -> dict:
    """Called by Sphinx."""
    app.add_enumerable_node(
        results_table,
        "table",
        html=(
            lambda self, node: self.visit_figure(node),
            lambda self, node: self.depart_figure(node),
        ),
    )
    app.add_transform(NumberOutputs)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
