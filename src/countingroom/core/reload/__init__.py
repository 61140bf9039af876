"""What a changed description would change in a running experiment, and whether that may be done now.

Start with plan.py, which compares two descriptions. content.py is what it compares, refusals.py looks at the running
experiment, messages.py is what goes over the bus and to a child process.
"""
