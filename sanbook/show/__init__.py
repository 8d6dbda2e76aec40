"""What a reader sees, in JupyterLab and in the book.

Each function returns a `Shown`. It shows itself as the last value of a cell, or by ``display``.
Nothing here needs torch: values come as arrays of numpy or as plain numbers.
"""

from sanbook.show.cards import data_card
from sanbook.show.shown import Shown, data_line, figure, findings, live, quick, say, table

__all__ = ["Shown", "data_card", "data_line", "figure", "findings", "live", "quick", "say", "table"]
