"""All drills, by the number of the fault where it has one, then those of each process."""

from __future__ import annotations

from tests.drill import data_faults, login_faults, request_faults, role_faults
from tests.drill.drill import ALL_STATES, Drill
from tests.drill.request_faults import HALF_SENT, VIEWER_SOCKETS
from tests.drill.role_faults import ROLE_DRILLS

_RECORDING = ("Recording",)
NUMBERED = (
    Drill(name="full disk", number=1, fault=data_faults.full_disk, states=ALL_STATES, tells=True, small_disk=True),
    Drill(name="damaged history file", number=2, fault=data_faults.damaged_history, states=ALL_STATES, tells=True),
    Drill(
        name="a program that prints without end", number=3, fault=data_faults.chatty_program, states=("configuring",)
    ),
    Drill(
        name="values that cannot be carried",
        number=4,
        fault=request_faults.values_that_cannot_be_carried,
        states=ALL_STATES,
    ),
    Drill(name="unreadable messages", number=5, fault=request_faults.poisoned, states=ALL_STATES),
    Drill(name="MQTT store filled", number=6, fault=request_faults.mqtt_store_filled, states=_RECORDING),
    Drill(name="MQTT on all topics", number=7, fault=request_faults.mqtt_on_all_topics, states=ALL_STATES),
    Drill(name="bus without a password", number=8, fault=request_faults.stranger_on_the_bus, states=_RECORDING),
    Drill(name="busy machine", number=9, fault=request_faults.busy_machine, states=_RECORDING, control_s=30.0),
    Drill(
        name="owner killed twice", number=10, fault=role_faults.killed_twice("runs"), states=ALL_STATES, control_s=15.0
    ),
    Drill(name=f"{HALF_SENT} half-sent requests", number=11, fault=request_faults.half_sent, states=ALL_STATES),
    Drill(name=f"{VIEWER_SOCKETS} live feeds", number=12, fault=request_faults.many_viewers, states=ALL_STATES),
    Drill(name="heavy requests", number=13, fault=request_faults.heavy_requests, states=_RECORDING),
    Drill(name="hostile requests", number=14, fault=request_faults.hostile_requests, states=ALL_STATES),
    Drill(name="rights that grow", number=15, fault=login_faults.rights_that_grow, states=_RECORDING),
    Drill(name="forged requests", number=16, fault=login_faults.forged_requests, states=_RECORDING),
    Drill(name="weak passwords", number=17, fault=login_faults.weak_passwords, states=_RECORDING),
    Drill(name="passwords in the clear", number=18, fault=login_faults.passwords_in_the_clear, states=_RECORDING),
    Drill(name="forged texts and logins", number=19, fault=login_faults.forged_texts_and_logins, states=_RECORDING),
)
DRILLS = (*NUMBERED, *ROLE_DRILLS)
SHORT = ("runs killed", "unreadable messages", f"{VIEWER_SOCKETS} live feeds")
"""The drills of the short form, each in one state."""
