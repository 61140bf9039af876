"""Composition and process supervision. Only this package imports the concrete classes of all departments.

Start with roles.py: it builds each role of the departments' table. serve.py is a process that runs roles, and up.py
runs an experiment with all its processes. supervisor.py is the parent's side of a child process, parent_watch.py the
child's side.
"""
