"""Bringing along what people set up in other bridges: their files in, edits of our channels out."""
