"""Agents: each controls one system, carries out the orders of partitions and publishes the state of the system.
Start with `port.py`, the interface of a system; then `model.py`, `order_rules.py` and `step.py` decide, `agent.py` and
`work.py` carry out, `kinds/` holds the shipped kinds, and `host.py` runs many agents in one process.
"""
