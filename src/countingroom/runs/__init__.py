"""Law: run control. A partition is driven to its goal by one pure planner; states follow what systems report.

The story in order: description.py (what a person writes, with a section for each thing), template.py (levels and the
chart they make), derive.py (the state that the systems prove), plan.py (what to do next and why), partition.py (one
step of a partition), forecast.py (the way, shown before it is gone).
"""
