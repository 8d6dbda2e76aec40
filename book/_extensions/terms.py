"""A Sphinx extension: on each page, where a term of the glossary comes first it is a link to it.

So the sources stay readable, in a notebook that is opened by itself too.
"""

import re

from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform

GLOSSARY = "glossary"


def pattern(term: str) -> re.Pattern:
    """Finds a term in text, in singular and plural, as the glossary spells it.

    >>> bool(pattern("kernel").search("two kernels")), bool(pattern("kernel").search("Kernelled"))
    (True, False)
    >>> pattern("extremum").findall("an extremum, two extrema, extrema-pool")
    ['extremum', 'extrema']
    """
    stem, end = re.fullmatch(r"(.*?)(y|um|)", term).groups()
    ends = {"y": "y|ies", "um": "um|a", "": "s?"}[end]
    # A combining mark makes another letter: φ̄ is not φ. A hyphen makes another word.
    return re.compile(rf"(?<![\w-]){re.escape(stem)}(?:{ends})(?![\w\u0304-])")


class LinkTerms(SphinxPostTransform):
    """Link the first mention of each term."""

    default_priority = 500

    def run(self, **kwargs) -> None:
        """Called by Sphinx for each page."""
        if self.env.docname == GLOSSARY:
            return
        objects = self.env.get_domain("std").objects
        terms = {name: place for (kind, name), place in objects.items() if kind == "term"}
        # "activation function" before "activation".
        for term in sorted(terms, key=len, reverse=True):
            self.link_first(pattern(term), *terms[term])

    def link_first(self, words: re.Pattern, page: str, label: str) -> None:
        """Turn the first match in the page's prose into a link."""
        for text in list(self.document.findall(nodes.Text)):
            found = words.search(text)
            if found is None or not is_prose(text):
                continue
            uri = self.app.builder.get_relative_uri(self.env.docname, page)
            link = nodes.reference(
                "", found[0], internal=True, refuri=f"{uri}#{label}", classes=["term"]
            )
            before, after = text[: found.start()], text[found.end() :]
            parts = [nodes.Text(before), link, nodes.Text(after)]
            text.parent.replace(text, [part for part in parts if part.astext()])
            return


def is_prose(text: nodes.Text) -> bool:
    """Whether a text stands in a paragraph or a caption, and in no link or code there."""
    node = text.parent
    while isinstance(node, nodes.emphasis | nodes.strong):
        node = node.parent
    return isinstance(node, nodes.paragraph | nodes.caption)


def pages_with_terms(app, env, added, changed, removed) -> set:
    """All pages, if the glossary changed: their links lead into it."""
    return env.found_docs if GLOSSARY in added | changed | removed else set()


def setup(app) -> dict:
    """Called by Sphinx."""
    app.add_post_transform(LinkTerms)
    app.connect("env-get-outdated", pages_with_terms)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
