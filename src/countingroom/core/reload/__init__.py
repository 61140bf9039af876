"""Plans the reload of a changed description in a running experiment, and decides whether it is allowed now.

Start with plan.py, which compares two descriptions. content.py is what it compares, refusals.py looks at the running
experiment, messages.py is what goes over the bus and to a child process.
"""
