"""Turn an executed notebook into a page of the book."""

from pathlib import Path

import nbformat


def finish(executed, defaults: dict, parameters: dict, cards: list[dict], figures: Path) -> None:
    """Turn an executed notebook into a page of the book.

    The title names the page's own data instead of the notebook's default, and what stands in for
    them. The findings move from where they were computed to the top. Captions, labels and text
    alternatives move from the outputs, where a notebook can compute them, to the cells, where
    Jupyter Book looks for them. What changes with each run is left out. A page of simulated data
    alone need not be in the contents. ``figures`` is the folder for what other pages show.
    """
    sources = {card["name"]: card["source"] for card in cards}
    heading, newline, rest = executed.cells[0].source.partition("\n")
    for name in ("database", "dataset"):
        if name in defaults and name in parameters:
            own = parameters[name]
            placeholder = sources.get(own) not in (None, "real")
            title = f"{own} ({sources[own]})" if placeholder else own
            heading = f"{heading.partition(':')[0]}: {title}"
    executed.cells[0].source = heading + newline + rest
    if sources and set(sources.values()) == {"simulated"}:
        executed.metadata["orphan"] = True
    figures.mkdir(exist_ok=True)
    findings = []
    for cell in executed.cells:
        cell.metadata.pop("papermill", None)
        tags = set(cell.metadata.get("tags", []))
        # The style of the book hides these until the reader asks for the code.
        if {"parameters", "injected-parameters", "hide-input"} & tags:
            cell.metadata["tags"] = [*sorted(tags - {"hide-input"}), "set-up"]
        for output in list(cell.get("outputs", [])):
            shown = output.get("metadata", {}).pop("sanbook", None)
            if not shown:
                continue
            output.data = shown["book"]
            kind = shown.get("kind")
            if kind == "figure":
                # As a file too, for pages that are not notebooks.
                (figures / f"{shown['name']}.svg").write_text(output.data["image/svg+xml"])
                cell.metadata["mystnb"] = {
                    "image": {"alt": shown["alt"]},
                    "figure": {"caption": shown["caption"], "name": shown["name"]},
                }
            if kind == "findings":
                findings.append(output.data["text/markdown"])
                cell.outputs.remove(output)
    executed.metadata.pop("papermill", None)
    if findings:
        top = nbformat.v4.new_markdown_cell("\n\n".join(findings), id="top-findings")
        executed.cells.insert(1, top)
