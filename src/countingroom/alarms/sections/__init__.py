"""Parts of the section `alarms`. Read `inherited.py` first."""
