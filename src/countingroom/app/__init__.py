"""Composition and process supervision: the only package that knows every concrete class.

Read roles.py first: what each role of the departments' table is made of. serve.py is a process that runs roles, up.py
an experiment with all its processes, supervisor.py and parent_watch.py the two ends of the pipe that holds a child.
"""
