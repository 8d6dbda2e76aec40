"""What each page computes and says: one module for each notebook, with one class for its page.

The constructor takes the parameters of the notebook, reads or loads what the page is about, and
refuses a wrong parameter in one sentence. Each other method is a section of the page. A method
computes (what takes long goes through a cache, so that another page or notebook finds it), or it
returns what is shown: a `sanbook.show.Shown`, or a list of several. The method ``write`` leaves the
results of the page for other pages and does nothing without a folder. So a notebook reads::

    summary = Summary(results)      # the parameters
    display(*summary.about())       # several things to show
    summary.table()                 # one
    summary.write(results)          # the last cell, tagged remove-cell

Figures that two pages share are in `sanbook.show.figures`, all others stand beside the method that
shows them, under ``@figures.style()``. Sentences with numbers are `sanbook.show.say`: no sentence
is put together in a notebook, and prose without numbers stays there.

A report reads what other pages left through `sanbook.reproduction.results.find`: in the folder that
the notebook names, else in the build of the paper profile, else of the quick one. If there is none,
the report falls back on the committed reference results where they suffice. ``about`` says which.
"""
