"""The pages, rendered on the server from templates.

Start with `pages.py`.
"""
