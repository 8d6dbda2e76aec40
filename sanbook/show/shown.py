"""What a reader sees: one object with a form for JupyterLab and a form for the book.

A notebook shows HTML that needs nothing but itself: figures stand on white, so that they are seen
in a dark theme, tables scroll, and live figures carry their scripts. For the book the same object
travels in the metadata of the output, from where `sanbook.build.execute` takes it.
"""

import base64
import io
import itertools
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

import pandas as pd

from sanbook.files import as_json

# Scripts and style of live figures: in the installed package, else in a checkout.
INSIDE = Path(__file__).parent / "static"
STATIC = INSIDE if INSIDE.is_dir() else Path(__file__).parents[2] / "book" / "_static"
MANY_COLUMNS = 15  # of numbers fit beside each other only under heads that stand upright
# {doc}`a text </target>` and {doc}`/target`, as only the book knows them.
ROLE = re.compile(r"\{[\w:]+\}`(?:([^`<]+?)\s*<[^`>]*>|/?([^`]*))`")
STYLE = """<style>
.sanbook figure { background: #fff; color: #222; margin: 0; padding: 0.5em; }
.sanbook figure > img { display: block; max-width: 100%; }
.sanbook figure > iframe { border: 0; display: block; width: 100%; height: 45em; }
.sanbook .line { border-left: 0.3em solid #0072B2; margin: 0.5em 0; padding: 0 0.75em; }
.sanbook .warning { border-color: #E69F00; }
.sanbook .danger { border-color: #D55E00; }
.sanbook .results-table { max-height: 28em; overflow: auto; }
.sanbook caption { caption-side: top; max-width: 42em; text-align: left;
  white-space: normal; }
.sanbook thead th { background: var(--jp-layout-color0, #fff); position: sticky; top: 0; }
.sanbook :is(th, td):is(.text, .prose) { text-align: left; }
.sanbook .prose { min-width: 14em; white-space: normal; }
</style>"""


@dataclass(frozen=True)
class Shown:
    """Something to show.

    Args:
        text: For a terminal.
        html: For a notebook.
        book: For the book, by media type.
        facts: For the book: the ``kind``, and what its kind needs besides, such as the caption.
    """

    text: str
    html: str
    book: dict[str, str]
    facts: dict = field(default_factory=dict)

    def __repr__(self) -> str:
        return self.text

    def _repr_mimebundle_(self, include=None, exclude=None) -> tuple[dict, dict]:
        html = f'{STYLE}<div class="sanbook">{self.html}</div>'
        return {"text/html": html}, {"sanbook": {"book": self.book, **self.facts}}


# --- sentences ------------------------------------------------------------------------------------


def say(text: str) -> Shown:
    """A paragraph with numbers, in Markdown.

    >>> say("The loss is **0.42** ({doc}`/ledger`).").html
    '<p>The loss is <strong>0.42</strong> (ledger).</p>\\n'
    """
    return _sentences(text, text)


def findings(*sentences: str) -> Shown:
    """What a page finds, in about three sentences.

    In the book they stand at the top of the page, wherever its notebook shows them: usually at the
    end, when all is computed.

    Raises:
        ValueError: There is nothing to say.
    """
    if not sentences:
        raise ValueError("findings: there are no sentences. Give about three.")
    bullets = "\n".join(f"- {sentence}" for sentence in sentences)
    text = f"**Findings**\n\n{bullets}"
    book = f":::{{admonition}} Findings\n:class: tip findings\n{bullets}\n:::"
    return _sentences(text, book, style="line", kind="findings")


def data_line(cards: Sequence[dict]) -> Shown:
    """One line about the data of a page, in colour where they are not the paper's own.

    Args:
        cards: The provenance of each data set, `sanbook.data.dataset.DataSet.card` as a dictionary.
            The last part of the page in the book, "How this page was made", tells the rest of it.
    """
    titles = {
        "own": "a signal of your own",
        "real": "the paper's own",
        "substitute": "a substitute",
        "unverified": "not verified",
        "simulated": "simulated",
    }
    colors = dict.fromkeys(("substitute", "unverified"), " warning") | {"simulated": " danger"}
    names = {
        kind: ", ".join(card["name"] for card in cards if card["source"] == kind) for kind in titles
    }
    kinds = [kind for kind in titles if names[kind]]
    text = " ".join(f"**{titles[kind]}:** {names[kind]}." for kind in kinds)
    text = text.replace(" **a", " **A")  # a sentence begins
    if len(cards) == 1:
        (card,), (kind,) = cards, kinds
        rate = f", {card['sampling_rate']:g} samples per second" if card["sampling_rate"] else ""
        note = "" if kind == "real" else f" {card['note']}"
        text = f"**{titles[kind]}:** {card['name']}, {card['signal']}{rate}.{note}"
    text, color = text.replace("**", "**Data: ", 1), colors.get(kinds[-1], "") if kinds else ""
    link = '<a href="#how-made">Files and versions</a>'
    book = f":::{{container}} data-line{color}\n{text} {link}\n:::"
    return _sentences(text, book, style=f"line{color}", cards=list(cards))


def quick(cut: str) -> Shown:
    """A warning that a page ran the quick profile; ``cut`` says what it has less of."""
    text = f"**Quick profile:** {cut}. These are not the numbers of the paper's protocol."
    book = f":::{{container}} data-line warning\n{text}\n:::"
    return _sentences(text, book, style="line warning")


def folded(title: str, text: str, book: str) -> Shown:
    """Markdown that opens when asked for; the text of the book may have a form of its own."""
    html = f"<details><summary>{escape(title)}</summary>{markdown(text)}</details>"
    return Shown(title, html, {"text/markdown": f"::::{{dropdown}} {title}\n{book}\n::::"})


def _sentences(text: str, book: str, style: str = "", **facts) -> Shown:
    html = markdown(text)
    html = f'<div class="{style}">{html}</div>' if style else html
    return Shown(text, html, {"text/markdown": book}, facts)


def markdown(text: str) -> str:
    """Markdown as HTML; references that only the book knows become their words."""
    from markdown_it import MarkdownIt  # only in notebooks

    words = ROLE.sub(lambda role: role[1] or role[2].rpartition("/")[2], text)
    return MarkdownIt("commonmark").enable("table").render(words)


# --- figures --------------------------------------------------------------------------------------


def figure(fig, *, name: str, caption: str, alt: str, sources: Collection[str]) -> Shown:
    """A figure with its caption and text alternative; the figure is closed.

    Args:
        fig: A figure of matplotlib.
        name: The label of the figure in the book.
        caption: One or two sentences below the figure.
        alt: What the figure shows, for those who do not see it.
        sources: The ``source`` of the data sets that the figure shows. A figure of anything but the
            paper's data or a reader's own is marked.
    """
    svg = draw_svg(fig, sources)
    html = f"<figure>{_image(svg, alt)}<figcaption>{escape(caption)}</figcaption></figure>"
    facts = {"kind": "figure", "name": name, "caption": caption, "alt": alt}
    return Shown(caption, html, {"image/svg+xml": svg}, facts)


def draw_svg(fig, sources: Collection[str]) -> str:
    """A figure as SVG without a background, marked if not all `sources` are the paper's or own.

    On a dark page ``book/_static/book.css`` turns its light shades into dark ones.
    """
    import matplotlib.pyplot as plt  # takes a second, and not every page draws

    others = set(sources) - {"real", "own"}
    if others:
        mark = " and ".join(sorted(others)) + (" in part" if "real" in sources else "")
        width, height = fig.get_size_inches() * 72  # points
        size = min(40, 0.5 * height, 1.4 * width / len(mark))  # all of it is seen
        style = {"ha": "center", "va": "center", "fontsize": size, "zorder": 10}
        fig.text(0.5, 0.5, mark, color="grey", alpha=0.3, **style)
    image = io.StringIO()
    with plt.rc_context({"svg.hashsalt": "san"}):
        fig.savefig(image, format="svg", metadata={"Date": None}, transparent=True)
    plt.close(fig)
    return shorten_paths(image.getvalue())


def shorten_paths(svg: str) -> str:
    """An SVG with two decimals in its paths, each on one line: shorter, to the eye the same.

    >>> shorten_paths('<path d="M 1.234567 20 \\nL 3.5 4.1 \\n"/>')
    '<path d="M 1.23 20 L 3.5 4.1"/>'
    """

    def shorten(path: re.Match) -> str:
        numbers = re.sub(r"(\.\d\d)\d+", r"\1", path[1])
        return f'd="{" ".join(numbers.split())}"'

    return re.sub(r'\bd="([^"]*)"', shorten, svg)


def _image(svg: str, alt: str) -> str:
    encoded = base64.b64encode(svg.encode()).decode()
    return f'<img src="data:image/svg+xml;base64,{encoded}" alt="{escape(alt)}">'


def live(
    name: str,
    data: dict,
    *,
    label: str,
    caption: str,
    still=None,
    alt: str = "",
    sources: Collection[str] = (),
    uses: Collection[str] = (),
) -> Shown:
    """A figure that ``book/_static/NAME.js`` makes in the reader's browser.

    In a notebook the scripts of the book run in a frame. In the book the scripts of the page find
    the figure.

    Args:
        name: The script of the figure.
        data: What the script draws. Tables and arrays may be in it.
        label: The label of the figure in the book.
        caption: One or two sentences below the figure.
        still: A figure of matplotlib for readers without scripts.
        alt: What the still figure shows.
        sources: Those of the still figure, as in `figure`.
        uses: Scripts that the figure needs besides its own.
    """
    text = as_json(data).replace("</", "<\\/")  # would end the script
    shown = "This figure moves where scripts may run."
    if still:
        shown = _image(draw_svg(still, sources), alt)
    script = f'<script type="application/json">{text}</script>'
    body = f'<div class="san-figure san-{name}">{shown}{script}</div>'
    said, frame = escape(caption), escape(_alone([*uses, name], body))
    html = (
        f'<figure><iframe srcdoc="{frame}" title="{said}"></iframe>'
        f"<figcaption>{said}</figcaption></figure>"
    )
    book = {"text/html": f'<figcaption id="{label}">{said}</figcaption>{body}'}
    return Shown(caption, html, book, {"kind": "live"})


def _alone(names: Sequence[str], body: str) -> str:
    """A live figure as a page of its own, as tall as what it shows."""
    colors = (
        ":root { --pst-color-text-base: #222; --pst-color-text-muted: #666; --pst-color-border: "
        "#ccc; --pst-color-surface: #f5f5f5; --pst-color-primary: #0072B2; "
        "--pst-color-success: #009E73; } body { font-family: sans-serif; margin: 0; }"
    )
    styles = f"<style>{colors}{(STATIC / 'book.css').read_text()}</style>"
    used = [f"{script}.js" for script in ("san", "plot", *names)]
    scripts = "".join(f"<script>{(STATIC / script).read_text()}</script>" for script in used)
    fit = "frameElement.style.height = document.documentElement.offsetHeight + 'px'"
    observed = f"<script>new ResizeObserver(() => {fit}).observe(document.body)</script>"
    return f"<!doctype html>{styles}{scripts}<body>{body}{observed}"


# --- tables ---------------------------------------------------------------------------------------


def table(frame: pd.DataFrame, *, name: str, caption: str, sortable: bool = False) -> Shown:
    """A table, numbers with three decimals and sentences in lines that wrap.

    However many rows it has, the table takes a part of the window and scrolls. Where it has very
    many columns, their heads stand upright.

    Args:
        frame: The table; its index is not shown.
        name: The label of the table in the book, which numbers it.
        caption: One sentence above the table.
        sortable: Whether the book offers to sort and to filter, by ``book/_static/table.js``.
    """
    # A name of the columns would become an empty column.
    present = frame.astype(object).where(frame.notna(), "-").rename_axis(columns=None)
    html = present.to_html(index=False, float_format="{:z.3f}".format, border=0)
    # Columns that have words are aligned left, and sentences wrap.
    column_has_words = itertools.cycle(
        any(isinstance(value, str) and value[:1].isalpha() for value in column)
        for _, column in frame.items()
    )

    def align(cell: re.Match) -> str:
        kind = "text" if next(column_has_words) else ""
        kind = "prose" if cell[1] == "td" and len(cell[2]) > 45 else kind
        return f'<{cell[1]} class="{kind}">{cell[2]}<' if kind else cell[0]

    html = re.sub(r"<(th|td)>([^<]*)<", align, html)
    caption = escape(caption)
    html = html.replace("<thead>", f'<caption id="{name}">{caption}</caption><thead>', 1)
    kind = f"results-table{' sortable' if sortable else ''}"
    kind += " many-columns" if len(frame.columns) > MANY_COLUMNS else ""
    # Reached by the keyboard too, to scroll it sideways.
    reachable = f'tabindex="0" role="group" aria-label="{caption}"'
    html = f'<div class="{kind}" {reachable}>{html}</div>'
    return Shown(caption, html, {"text/html": html})
