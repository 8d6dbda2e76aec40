"""A Sphinx extension: tables of the notebooks have numbers and can be referred to.

`san_book.show_table` gives a table of HTML its caption and its label. Here both become a caption
and a label that Sphinx knows, so that it is counted beside the tables of the pages of prose.
"""

import html
import re

from docutils import nodes
from sphinx.transforms import SphinxTransform

CAPTION = re.compile('<caption id="([^"]*)">(.*?)</caption>')


class results_table(nodes.figure):  # noqa: N801  as docutils names its nodes
    """A caption, and below it a table as raw HTML."""


class NumberTables(SphinxTransform):
    """Turn tables of HTML with a caption into numbered ones."""

    default_priority = 210

    def apply(self, **kwargs) -> None:
        """Called by Sphinx for each page."""
        for raw in list(self.document.findall(nodes.raw)):
            if found := CAPTION.search(raw.astext()):
                label, caption = found.groups()
                table = results_table(names=[label])
                raw.replace_self(table)
                table += nodes.caption("", html.unescape(caption))
                table += nodes.raw("", raw.astext().replace(found[0], ""), format="html")
                self.document.note_explicit_target(table)


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
    app.add_transform(NumberTables)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
