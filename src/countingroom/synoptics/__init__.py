"""Synoptics: drawings of the user that show points and states. description.py is their section of the description.

What reads, cleans and binds a drawing is in `core/synoptics`; the console shows it.
"""
