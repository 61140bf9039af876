"""How many examples and histories a test tries: a part of them by default, all with `--hypothesis-profile=thorough`.

On two cores `make test` would spend minutes on more of the same kind; `make thorough` does.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings

THOROUGH = "thorough"
HOUSE = "house"


def register() -> None:
    """Make both profiles known, before a test module asks for its numbers, and choose the short one."""
    # How long a case or its input takes says more about the machine than about us.
    settings.register_profile(THOROUGH, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.register_profile(HOUSE, settings.get_profile(THOROUGH), max_examples=50)
    settings.load_profile(HOUSE)


def examples(thorough: int, *, part: int = 4) -> int:
    """`thorough` in the profile of that name, else the `part`-th part of them."""
    return thorough if settings.get_current_profile_name() == THOROUGH else -(-thorough // part)
