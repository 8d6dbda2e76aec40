"""Rules of style that can be checked: sentences, links, plurals, words that only insiders know."""

import json
import re
from pathlib import Path

LONGEST = 35  # words of a sentence
PRIVATE = re.compile(
    r"\b(?:stand-ins?|mothers?(?! wavelet)|SANs? with scales|rooms?|houses?|rungs?|ladders?"
    r"|own count|scale paid|trainings|anew|whose bytes)\b",
    re.IGNORECASE,
)
ONE_OF_MANY = re.compile(
    r"(?<![\d.,])1 (?:recordings|databases|seeds|runs|windows|networks|numbers|events|sizes"
    r"|methods)\b"
)
BARE_LINK = re.compile(r"\{(?:doc|ref)\}`[^`<]*`")


def text_of(path: Path) -> str:
    """The prose of a page: a Markdown file, or the Markdown cells of a notebook."""
    text = path.read_text()
    if path.suffix == ".ipynb":
        cells = [c["source"] for c in json.loads(text)["cells"] if c["cell_type"] == "markdown"]
        text = "\n\n".join("".join(source) for source in cells)
    return text


def sentences_of(text: str) -> list[str]:
    """The sentences of a page without code, equations, tables, addresses and file heads.

    >>> sentences_of("# A title\\n\\nA SAN, cf. {doc}`here <x>`, has $W$. It is small.\\n\\n- One.")
    ['A SAN, cf. here, has W.', 'It is small.', 'One.']
    """
    for gone, left in (
        (r"(?s)\A---.*?\n---\n", ""),
        (r"(?s)<!-- ledger -->.*?<!-- end of ledger -->", ""),
        (r"(?ms)^ *```+(?!\{(?:admonition|glossary|figure)).*?^ *```+ *$", ""),
        (r"(?ms)^ *(?:```|:::).*?$", ""),  # openings and ends of directives
        (r"(?m)^ *:[\w-]+:.*$", ""),  # their options
        (r"(?m)^ *#.*$|^ *\|.*$|^ *>>>.*$", ""),
        (r"\{[\w:+-]+\}`([^`<]*?)\s*(?:<[^`>]*>)?`", r"\1"),
        (r"!?\[([^\]]*)\]\([^)]*\)", r"\1"),
        (r"\$([^$]*)\$", lambda match: "W"),
        (r"`([^`\n]*)`", "Code"),
        (r"https?://\S+", "address"),
    ):
        text = re.sub(gone, left, text)
    paragraphs = re.split(r"\n\s*\n|\n(?= *(?:[-*:]|\d+\.) )", text)
    found = []
    for paragraph in paragraphs:
        flat = re.sub(r"^(?:[-*:]|\d+\.) ", "", " ".join(paragraph.split()))
        found += re.split(
            r"(?<=[.?!:])\s+(?=[A-ZÀ-ÝΑ-Ωφϕ*“\"(]|tab-|fig-|eq-)", flat.replace("**", "")
        )
    return [sentence for sentence in found if sentence]


def faults_of(text: str) -> list[str]:
    """What breaks a rule of style in a text, each with the place where it stands."""
    flat = re.sub(r"`[^`\n<]*`", "code", text)
    faults = [f"private word: {match[0]}" for match in PRIVATE.finditer(flat)]
    faults += [f"one of many: {match[0]}" for match in ONE_OF_MANY.finditer(flat)]
    faults += [f"link without words: {match[0]}" for match in BARE_LINK.finditer(text)]
    for sentence in sentences_of(text):
        words = len(sentence.split())
        if words > LONGEST:
            faults.append(f"{words} words: {sentence}")
        if sentence.count(";") > 1:
            faults.append(f"chain of semicolons: {sentence}")
    return faults
