"""What every HTTP request passes on its way in and out: session, origin check, rejection, audit.

Start with `session.py`.
"""
