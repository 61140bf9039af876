"""Login: accounts, passwords, sessions, rate limits and the principal of each request.

Start with `sessions.py`.
"""
