"""Who gets the talks of the fleet by the live feed: their replies are large."""

from __future__ import annotations

import pytest

from countingroom.console.live.subscription import parse
from countingroom.console.present.partition_words import place_of
from countingroom.core.fleet.talk import talk_key


@pytest.mark.parametrize(
    ("watch", "sees"),
    [("{}", False), ('{"partitions": ["*"]}', False), ('{"partitions": [""]}', False), ('{"talks": true}', True)],
)
def test_talks_are_sent_only_to_those_who_watch_them(watch: str, sees: bool) -> None:
    subscription, _ = parse(f'{{"watch": {watch}}}')
    assert subscription.sees_words_of(place_of(talk_key("c1"), None)) is sees
