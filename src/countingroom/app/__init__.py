"""Law: the composition root: the only room that knows every concrete class.

The story in order: place.py (where an experiment keeps its data, and who owns it), child.py (one program kept running),
roles.py (what each role is made of), serve.py (a process that plays roles), simulation.py (hardware that cannot be
here), up.py (everything, in one command).
"""
