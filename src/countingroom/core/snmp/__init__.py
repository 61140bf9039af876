"""The messages of SNMP v1, v2c and v3, for its client and for its simulator. No I/O.

Start with `pdu.py` (requests and answers); `ber.py` is their encoding, `usm.py` the security of version 3.
"""
