"""What a reader sees, in JupyterLab and in the book: figures, tables, findings."""
