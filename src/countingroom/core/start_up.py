"""The waiting times after a start, for all processes that decide whether something is gone. Pure.

Processes start one after the other, and a device needs time to be connected. What is not there yet is no fault: it
raises no alarm, trips no interlock, and is not shown as gone. What is heard is evaluated at once.
"""

from __future__ import annotations

HEARD_S = 4.0
"""After its start, and after the bus was lost, a process reports nothing as gone for so long: three heartbeats, and a
little more. The agent of a device waits as long for the next host of it."""
START_UP_S = 15.0
"""What was never there since the start counts as gone after so long: a device or partition that no process serves, in
the alarm engine and in a replay; the first values of the inputs of an interlock, in the engine and in a device host
alike; the device of an agent, since the agents are ready before the device hosts; the values that a run depends on. It
is longer than an engine needs to tell that a process is missing (`role_alarms.MISSING_S` after HEARD_S), so that this
alarm comes first and has the devices under it."""
