"""A Sphinx extension: on each page, where a term of the glossary comes first it is a link to it.

So the sources stay readable, in a notebook that is opened by itself too.
"""

import re
from collections.abc import Sequence

from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform

GLOSSARY = "glossary"


def forms(term: str) -> str:
    """A pattern of a term in singular and plural, as the glossary spells it.

    >>> re.findall(forms("similarity"), "a similarity, all similarities; similar")
    ['similarity', 'similarities']
    >>> re.findall(forms("extremum"), "an extremum and two extrema")
    ['extremum', 'extrema']
    """
    stem, end = re.fullmatch(r"(.*?)(y|um|)", term).groups()
    ends = {"y": "y|ies", "um": "um|a", "": "s?"}[end]
    return r"\s+".join(map(re.escape, stem.split())) + f"(?:{ends})"


def any_of(terms: Sequence[str]) -> re.Pattern:
    """Finds terms in text, at each place the first that fits; the n-th term is the n-th group.

    >>> found = any_of(["activation function", "activation"])
    >>> [match.lastindex for match in found.finditer("activation functions keep activations")]
    [1, 2]
    """
    groups = "|".join(f"({forms(term)})" for term in terms)
    # A combining mark makes another letter: φ̄ is not φ. A hyphen makes another word.
    return re.compile(rf"(?<![\w-])(?:{groups})(?![\w\u0304-])")


class LinkTerms(SphinxPostTransform):
    """Link the first mention of each term."""

    default_priority = 500

    def run(self, **kwargs) -> None:
        """Called by Sphinx for each page."""
        if self.env.docname == GLOSSARY:
            return
        objects = self.env.get_domain("std").objects
        places = {name: place for (kind, name), place in objects.items() if kind == "term"}
        # The longest first: "activation function" is no "activation".
        terms = sorted(places, key=len, reverse=True)
        found, linked = any_of(terms), set()
        for text in filter(is_prose, list(self.document.findall(nodes.Text))):
            parts, end = [], 0
            for match in found.finditer(text):
                term = terms[match.lastindex - 1]
                if term not in linked:
                    linked.add(term)
                    parts += [
                        nodes.Text(text[end : match.start()]),
                        self.link(match[0], *places[term]),
                    ]
                    end = match.end()
            if parts:
                text.parent.replace(text, [*parts, nodes.Text(text[end:])])

    def link(self, text: str, page: str, label: str) -> nodes.reference:
        """A link into the glossary."""
        uri = self.app.builder.get_relative_uri(self.env.docname, page)
        return nodes.reference("", text, internal=True, refuri=f"{uri}#{label}", classes=["term"])


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
