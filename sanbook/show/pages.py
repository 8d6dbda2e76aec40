"""What a page shows: findings, figures with captions and text alternatives, tables, its data.

`sanbook.build.execute` takes findings, captions and cards of data from the metadata of the outputs.
"""

import base64
import io
import itertools
import re
from collections.abc import Collection, Sequence
from html import escape

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from IPython.display import HTML, Markdown, display
from matplotlib.figure import Figure

from san_core import ACTIVATIONS, SAN, inverse_compression_ratio, normalized_loss, phi
from sanbook.files import as_json
from sanbook.show.names import COLORS, NAMES

MANY_COLUMNS = 15  # of numbers fit beside each other only under heads that stand upright


def show_findings(*sentences: str) -> None:
    """Say what a page finds, in about three sentences made from its record.

    In the book they stand at the top of the page, wherever its notebook calls this: usually at the
    end, when all is computed. Raises ValueError if there is nothing to say.
    """
    if not sentences:
        raise ValueError("expected what the page finds, about three sentences, but got none")
    bullets = "\n".join(f"- {sentence}" for sentence in sentences)
    text = f":::{{admonition}} Findings\n:class: tip findings\n{bullets}\n:::"
    display(Markdown(text), metadata={"findings": True})


def show(figure: Figure, *, name: str, caption: str, alt: str, sources: Collection[str]) -> None:
    """Show a figure of a page as SVG, with its caption, its label and its text alternative.

    The three travel in the metadata of the output, from where `sanbook.build.execute` takes them to
    where Jupyter Book looks for them. ``sources`` are those of the data sets that the figure shows,
    as `sanbook.data.Card.source` has them: a figure of what stands in for the paper's data is
    marked.
    """
    metadata = {"image/svg+xml": {"name": name, "caption": caption, "alt": alt}}
    display({"image/svg+xml": draw_svg(figure, sources)}, raw=True, metadata=metadata)


def draw_svg(figure: Figure, sources: Collection[str]) -> str:
    """A figure as SVG without a background, marked if not all `sources` are the paper's or own.

    On a dark page ``book/_static/book.css`` turns its light shades into dark ones.
    """
    stand_ins = set(sources) - {"real", "own"}
    if stand_ins:
        mark = " and ".join(sorted(stand_ins)) + (" in part" if "real" in sources else "")
        width, height = figure.get_size_inches() * 72  # points
        size = min(40, 0.5 * height, 1.4 * width / len(mark))  # all of it is seen
        style = {"ha": "center", "va": "center", "fontsize": size, "zorder": 10}
        figure.text(0.5, 0.5, mark, color="grey", alpha=0.3, **style)
    image = io.StringIO()
    figure.savefig(image, format="svg", metadata={"Date": None}, transparent=True)
    plt.close(figure)
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


def show_sources(cards: Sequence[dict]) -> None:
    """Say in one line which data a page used, in colour where they are not the paper's own.

    ``cards`` are those of `sanbook.data.load`, as dictionaries. They stay with the page, whose last
    part, "How this page was made", has the rest of what is known.
    """
    titles = {
        "own": "a signal of your own",
        "real": "the paper's own",
        "substitute": "a substitute",
        "unverified": "not verified",
        "simulated": "simulated",
    }
    colors = dict.fromkeys(("substitute", "unverified"), " warning") | {"simulated": " danger"}
    kinds = {kind: [card for card in cards if card["source"] == kind] for kind in titles}
    kinds = {kind: of_kind for kind, of_kind in kinds.items() if of_kind}
    if len(cards) == 1:
        (card,) = cards
        rate = f", {card['sampling_rate']:g} samples per second" if card["sampling_rate"] else ""
        what = f"{card['name']}, {card['signal']}{rate}."
        said = what if card["source"] == "real" else f"{what} {card['note']}"
        parts = [f"**Data: {titles[card['source']]}:** {said}"]
    else:
        names = {kind: ", ".join(card["name"] for card in kinds[kind]) for kind in kinds}
        parts = [f"**{titles[kind]}:** {names[kind]}." for kind in kinds]
        parts[0] = parts[0].replace("**", "**Data: ", 1)
    worst = [*kinds][-1] if kinds else "real"
    line = " ".join([*parts, '<a href="#how-made">Files and versions</a>'])
    text = f":::{{container}} data-line{colors.get(worst, '')}\n{line}\n:::"
    display(Markdown(text), metadata={"cards": list(cards)})


def over_seeds(seeds: Sequence[int]) -> str:
    """What a number is of, in words.

    >>> over_seeds([4]), over_seeds([0, 1, 2])
    ('one seed', 'means over 3 seeds')
    """
    return "one seed" if len(seeds) == 1 else f"means over {len(seeds)} seeds"


def show_quick(cut: str) -> None:
    """Warn that a page ran the quick profile; ``cut`` says what it has less of than the paper."""
    warning = f"**Quick profile:** {cut}. These are not the numbers of the paper's protocol."
    display(Markdown(f":::{{container}} data-line warning\n{warning}\n:::"))


def show_table(table: pd.DataFrame, *, name: str, caption: str, sortable: bool = False) -> None:
    """Show a table, numbers with three decimals and sentences in lines that wrap.

    In the book it has a number, and ``name`` is its label. However many rows it has, it takes a
    part of the window and scrolls; where it has very many columns, their heads stand upright. A
    ``sortable`` one can be sorted and filtered on the page, by ``book/_static/table.js``.
    """
    # A name of the columns would become an empty column.
    present = table.astype(object).where(table.notna(), "-").rename_axis(columns=None)
    html = present.to_html(index=False, float_format="{:z.3f}".format, border=0)
    # Columns that have words are aligned left, and sentences wrap.
    of_words = [column.map(_begins_with_a_letter).any() for _, column in table.items()]
    column_has_words = itertools.cycle(of_words)

    def align(cell: re.Match) -> str:
        kind = "text" if next(column_has_words) else ""
        kind = "prose" if cell[1] == "td" and len(cell[2]) > 45 else kind
        return f'<{cell[1]} class="{kind}">{cell[2]}<' if kind else cell[0]

    html = re.sub(r"<(th|td)>([^<]*)<", align, html)
    caption = escape(caption)
    html = html.replace("<thead>", f'<caption id="{name}">{caption}</caption><thead>', 1)
    kind = "results-table sortable" if sortable else "results-table"
    kind += " many-columns" if len(table.columns) > MANY_COLUMNS else ""
    # Reached by the keyboard too, to scroll it sideways.
    reachable = f'tabindex="0" role="group" aria-label="{caption}"'
    display(HTML(f'<div class="{kind}" {reachable}>{html}</div>'))


def _begins_with_a_letter(value) -> bool:
    return isinstance(value, str) and value[:1].isalpha()


def show_interactive(
    name: str,
    data: dict,
    *,
    label: str = "",
    caption: str = "",
    still: Figure | None = None,
    alt: str = "",
    sources: Collection[str] = (),
) -> None:
    """Show a figure that ``book/_static/NAME.js`` makes in the reader's browser from ``data``.

    The data travel as JSON inside the page, so that it works when opened as a file. Tables and
    arrays may be in them, as in a record. In the book the figure has a number and its ``caption``,
    ``label`` refers to it, and pages of prose can include it as ``figures/LABEL.html``. Where no
    script runs, the ``still`` figure stands in its place, with the text alternative ``alt`` and
    marked by ``sources`` as in `show`.
    """
    text = as_json(data)
    text = text.replace("</", "<\\/")  # would end the script
    shown = "This figure moves in the built book, with JavaScript."
    if still:
        svg = base64.b64encode(draw_svg(still, sources).encode()).decode()
        shown = f'<img src="data:image/svg+xml;base64,{svg}" alt="{escape(alt)}">'
    heading = f'<figcaption id="{label}">{escape(caption)}</figcaption>' if label else ""
    script = f'<script type="application/json">{text}</script>'
    html = f'{heading}<div class="san-figure san-{name}">{shown}{script}</div>'
    display(HTML(html), metadata={"fragment": label})


def show_explorer(
    label: str,
    examples: str,
    x: torch.Tensor,
    points: pd.DataFrame,
    models: dict,
    chosen: dict[str, int],
    first: str,
) -> None:
    """Show a figure with a slider for the kernel size: what each trained SAN makes of an example.

    ``x`` is the first of the test ``examples`` ("windows") of the data set ``label``, a signal
    ``(n,)`` or an image ``(height, width)``. ``points`` has the means over all of them:
    activation, kernel_size and `METRICS`. ``models[activation][kernel_size]`` is a SAN. The figure
    starts with the activation function ``first``, and each of them with its size in ``chosen``.
    """
    name = label.partition(":")[0]
    order = ["normalized_reconstruction_loss", "inverse_compression_ratio", "phi"]
    networks = {}
    for activation, of_size in models.items():
        of_activation = points[points.activation == activation].set_index("kernel_size")
        of_activation = of_activation[order].round(4)
        networks[activation] = {
            "chosen": chosen[activation],
            "kernels": {m: [_rounded(w) for w in model.kernels] for m, model in of_size.items()},
            "metrics": {m: of_activation.loc[m].to_numpy() for m in of_size},
            "points": of_activation[order[:2]].to_numpy(),
        }
        if x.ndim == 2:
            networks[activation]["maps"] = {m: _maps(model, x) for m, model in of_size.items()}
    show_interactive(
        "explorer",
        label=f"fig-explorer-{name}",
        caption=f"Any of the networks on the first of the test {examples} of {label}: choose an "
        "activation function and a kernel size.",
        data={
            "activations": describe_activations(),
            "border_tolerance": models[first][chosen[first]].border_tolerance,
            "label": label,
            "examples": examples,
            "example": _rounded(x),
            "kernel_sizes": sorted(models[first]),
            "first": first,
            "networks": networks,
        },
    )


def _maps(model: SAN, x: torch.Tensor) -> dict:
    """What a SAN makes of one image, for `show_explorer`."""
    with torch.no_grad():
        s, a = model.similarities(x[None]), model.encode(x[None])
        x_hat = model.decode(a)
    inverse_cr = inverse_compression_ratio(a, model.num_weights, ndim=2)
    loss = normalized_loss(x[None], x_hat)
    metrics = torch.cat([loss, inverse_cr, phi(inverse_cr, loss)])
    return {
        "s": _rounded(s[0], 3),
        "kept": (a[0] != 0).int().numpy(),
        "activations": int(a.count_nonzero()),
        "x_hat": _rounded(x_hat[0], 3),
        "metrics": _rounded(metrics),
    }


def _rounded(values: torch.Tensor, decimals: int = 5) -> np.ndarray:
    """Numbers that are short as text."""
    return values.detach().double().numpy().round(decimals)


def describe_activations() -> dict[str, dict[str, str]]:
    """Name and colour of each activation function, for an interactive figure."""
    # Black would not be seen in the dark theme.
    shown = {**COLORS, "identity": "var(--pst-color-text-base)"}
    return {name: {"label": NAMES[name], "color": shown[name]} for name in ACTIVATIONS}
