"""Who may command partitions and the experiment: principals, the control lease and the policy made of them.

Start with `lease_policy.py`; commands are received by `bus/command_server.py`.
"""
