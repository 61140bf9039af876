"""Devices with an SNMP agent (UPS, PDU, crates, switches), described by a table of OIDs.

Start with `description.py` (the table) and `driver.py` (one poll); `connection.py` sends and answers for one agent,
`codec.py` converts values, `security.py` is version 3. The messages are in `core/snmp`.
"""
