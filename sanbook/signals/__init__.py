"""A recording of your own: files, windows, events, comparison, and the command ``san``."""
