"""Parts of the `runs` section of the description: systems, their agents, and templates of partitions.
Start with `system.py`.
"""
