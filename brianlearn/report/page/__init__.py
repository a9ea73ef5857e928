"""Pages that need no other file: their style, their parts, and pictures within them."""
