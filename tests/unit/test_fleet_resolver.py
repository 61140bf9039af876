"""A spec that is resolved in its encoded form is the same as one that is filled field by field."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from countingroom.core.fleet.resolver import Resolver, Resolvers
from countingroom.core.fleet.specs import (
    InstanceId,
    Revision,
    ServiceSpec,
    Volume,
    WantedNode,
    WantedService,
    digest,
    resolve,
)

PIECES = st.lists(
    st.sampled_from(["{node}", "{address}", "{index}", "{label.rack}", "{label.none}", '"', "\\", "{", "}", "é", "x"]),
    max_size=5,
).map("".join)


@given(PIECES, PIECES, PIECES, st.dictionaries(PIECES, PIECES, max_size=2))
@settings(max_examples=60)
def test_a_spec_is_resolved_alike_by_its_text_and_by_its_fields(
    image: str, label: str, address: str, environment: dict[str, str]
) -> None:
    spec = ServiceSpec(
        image=image,
        command=("run", "{node}", image),
        environment=environment,
        volumes=(Volume(source="/{service}", target="/data", options={"o": "addr={address}"}),),
    )
    node = WantedNode(name="n1", address=address, labels={"rack": label})
    service = WantedService(name="camera", spec=spec, nodes=("n1",))
    made = Revision(number=1, nodes=(node,), services=(service,))
    id = InstanceId("camera", "n1", 2)
    one = Resolver(made).resolve(service, id)
    assert one.spec == resolve(spec, id, node) and one.digest == digest(one.spec)


def test_the_resolver_of_a_revision_is_kept_and_those_of_old_ones_are_let_go() -> None:
    made = [Revision(number=number) for number in range(40)]
    kept = Resolvers()
    first = kept.of(made[0])
    assert kept.of(made[0]) is first and kept.of(Revision(number=0)) is not first
    for one in made:
        kept.of(one)
    assert kept.of(made[0]) is not first
