"""Stage 0: from a photo to who is in it."""
