"""The reload of a changed description: in the supervisor, in the process that checks it, and in those that take it.

Start with reloader.py, which runs inside `up`. candidate.py describes what the process that checks answers,
described.py makes what is compared, in_force.py is the file of what was reloaded, orders.py is the child's side, and
taking.py is what single roles do.
"""
