"""Law: the composition root: the only room that knows every concrete class.

The story in order: place.py and address.py (where an experiment keeps its data and shows its pages, and who has them),
child.py and parent_watch.py (one program kept running, and its own side of that), roles.py (what each role is made of),
web.py (how pages are served), serve.py (a process that plays roles), simulation.py (hardware that cannot be here),
record.py (what our processes did), up.py (everything, in one command).
"""
