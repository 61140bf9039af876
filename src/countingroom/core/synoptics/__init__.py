"""Synoptics: drawings (SVG) of the experiment whose elements show points and states.

A drawing is untrusted input. Start with drawing.py: `read_drawing` parses a file and keeps only what allowed.py lists.
bindings.py says what an element shows, writing.py writes the drawing for a page.
"""
