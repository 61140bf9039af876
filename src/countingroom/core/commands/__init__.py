"""The commands of run control, one row each: to a partition, to the experiment as a whole, to the agent of a system.

API routes, permissions, the names of arguments, the command line, buttons and the reference page are made from these
rows. Start with `row.py`.
"""
