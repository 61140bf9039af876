"""How partitions and the experiment are commanded: arguments, principals and the control lease.

Start with `command_server.py`.
"""
