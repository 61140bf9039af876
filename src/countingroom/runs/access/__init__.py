"""Permissions of commands to partitions and the experiment: roles of users, the control lease, and the policy of both.

Start with `lease_policy.py`; commands are received by `bus/command_server.py`.
"""
