"""The mirror: what of the experiment is shown outside. description.py is its section of the description.

The rules that decide what leaves are in `core/mirror`.
"""
