"""The parts of the `runs` section of the description: templates, systems, agents.

Start with `system.py`.
"""
