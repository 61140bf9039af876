"""State machines as tables: read, checked, drawn and combined.

Start with `chart.py`; `table.py` reads the files.
"""
