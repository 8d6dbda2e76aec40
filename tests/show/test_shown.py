"""What a notebook shows, and what the book gets of it."""

import html
import re
import subprocess
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import pandas as pd
import pytest

from san_core import ACTIVATIONS
from sanbook import show
from sanbook.show.names import NAMES
from sanbook.show.shown import MANY_COLUMNS, ROLE

ROOT = Path(__file__).parent.parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").rglob("*.ipynb"))


def drawn(sources=("real",), **options):
    fig, axes = plt.subplots()
    axes.plot([1, 2])
    given = {"name": "fig-a", "caption": "A <line>.", "alt": 'It "rises".'} | options
    return show.figure(fig, sources=sources, **given)


def test_names_are_those_of_san_core():
    assert tuple(NAMES) == ACTIVATIONS


def test_showing_needs_neither_torch_nor_matplotlib():
    code = "import sys; from sanbook import show; show.findings('a'); print(*sys.modules)"
    loaded = subprocess.check_output([sys.executable, "-c", code], text=True, cwd=ROOT).split()
    assert not {"torch", "matplotlib", "IPython"} & set(loaded)


def test_figure_stands_on_white_with_its_caption_and_travels_as_svg():
    before = plt.get_fignums()  # of other tests
    data, metadata = drawn()._repr_mimebundle_()
    assert "figure { background: #fff" in data["text/html"]
    assert "<figcaption>A &lt;line&gt;.</figcaption>" in data["text/html"]
    assert 'alt="It &quot;rises&quot;."' in data["text/html"]
    facts = metadata["sanbook"]
    assert facts["book"]["image/svg+xml"].startswith("<?xml")
    assert [facts[key] for key in ("kind", "name", "caption")] == ["figure", "fig-a", "A <line>."]
    assert plt.get_fignums() == before


def test_figure_of_simulated_data_is_marked():
    assert "<!-- simulated -->" in drawn(["simulated"]).book["image/svg+xml"]
    assert "<!-- simulated in part -->" in drawn(["simulated", "real"]).book["image/svg+xml"]
    assert "simulated" not in drawn(["own", "real"]).book["image/svg+xml"]


def test_sentences_have_no_markup_that_only_the_book_knows():
    text = "See {doc}`/ledger`, {doc}`the rules </experiment>` and {cite:p}`a2020`: **0.4**."
    for shown in (show.say(text), show.findings(text), show.quick(text)):
        assert not ROLE.search(shown.html)
        assert "See ledger, the rules and a2020: <strong>0.4</strong>." in shown.html
        assert "{doc}`/ledger`" in shown.book["text/markdown"]
        assert ":::" not in shown.html


def test_findings_without_a_sentence_are_refused():
    with pytest.raises(ValueError, match="there are no sentences"):
        show.findings()


def test_table_says_what_is_missing_and_has_no_negative_zero():
    counts = pd.array([1, None], dtype="Int64")
    table = pd.DataFrame({"m": counts, "change": [-0.0001, None], "φ̄": ["φ̄", "-"]})
    shown = show.table(table, name="tab-change", caption="What <m> changes.").html
    assert re.findall(r"<td.*?>(.*?)</td>", shown) == ["1", "0.000", "φ̄", "-", "-", "-"]
    assert '<td class="text">φ̄' in shown
    assert '<caption id="tab-change">What &lt;m&gt; changes.</caption>' in shown


def test_table_has_no_column_for_the_name_of_its_columns():
    table = pd.DataFrame({"method": ["DCT"], "phi": [0.5], "data": ["mitdb"]})
    pivoted = table.pivot(index="data", columns="method", values="phi").reset_index()
    shown = show.table(pivoted, name="tab-pivoted", caption="A pivoted table.").html
    assert re.findall(r"<t[dh].*?>(.*?)</t[dh]>", shown) == ["data", "DCT", "mitdb", "0.500"]


def test_heads_of_very_many_columns_stand_upright():
    tables = [
        show.table(pd.DataFrame([range(columns)]), name="tab-wide", caption="A wide table.").html
        for columns in (MANY_COLUMNS, MANY_COLUMNS + 1)
    ]
    assert ["many-columns" in table for table in tables] == [False, True]


def test_live_figure_carries_its_scripts_its_data_and_a_still_figure():
    fig, _ = plt.subplots()
    data = {"x": pd.DataFrame({"a": [1, 2]}), "text": "</script>"}
    shown = show.live("slide", data, label="fig-l", caption="Drag.", still=fig, alt="A line.")
    page = html.unescape(re.search('srcdoc="([^"]*)"', shown.html)[1])
    fragment = shown.book["text/html"]
    assert '<figcaption id="fig-l">Drag.</figcaption>' in fragment
    for where in (page, fragment):
        assert (
            '<script type="application/json">{"x":{"a":[1,2]},"text":"<\\/script>"}</script>'
            in where
        )
        assert 'alt="A line."' in where
    assert (ROOT / "book/_static/slide.js").read_text() in page


def test_data_card_names_the_files_and_is_folded():
    shown = show.data_card("mitdb", ROOT)
    assert shown.html.startswith("<details><summary>The data card of mitdb</summary>")
    assert "<td>100.dat</td>" in shown.html
    assert shown.book["text/markdown"].startswith("::::{dropdown} The data card of mitdb\n")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_cells_that_the_book_hides_are_folded_in_a_notebook(path):
    for cell in nbformat.read(path, as_version=4).cells:
        hidden = "hide-input" in cell.metadata.get("tags", [])
        assert cell.metadata.get("jupyter", {}).get("source_hidden", False) == hidden, cell.id
