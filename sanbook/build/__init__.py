"""Make the book: switches, the graph of pages, executing, provenance, rendering."""
