"""What makes a book of `san_core`: data, training, other methods, figures, pages; a room each."""
