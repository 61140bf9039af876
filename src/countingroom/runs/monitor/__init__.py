"""What run control observes of the agents: their states, their liveness and how long their steps take.

Start with `system_states.py`.
"""
