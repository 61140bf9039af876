"""Monitoring of the agents: their states, the failure detector, and the measured durations of their actions.
Start with `system_states.py`; `failure_detector.py` decides which agents are connected.
"""
