"""Agents: one small process around each system. It receives orders, publishes states and runs the system's work.

Start with `port.py`, the methods that the author of a system writes. `model.py` holds the values of an agent, `step.py`
and `order_rules.py` decide, `agent.py` carries out, `kinds/` has the shipped kinds, and `host.py` runs many agents.
"""
