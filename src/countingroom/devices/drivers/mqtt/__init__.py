"""Law: sensors that publish by themselves are listened to; nothing is ever published to them.

description.py (what a person writes), topics.py (pattern to point, payload to value; pure), driver.py, build.py.
"""
