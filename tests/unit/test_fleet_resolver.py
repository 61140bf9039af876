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


def test_what_another_revision_has_in_common_is_taken_from_it_and_nothing_else() -> None:
    def service(name: str, image: str) -> WantedService:
        return WantedService(
            name=name, spec=ServiceSpec(image=image, environment={"N": "{node}{label.rack}"}), nodes=("n1",)
        )

    def made(number: int, rack: str, *services: WantedService) -> Revision:
        return Revision(number=number, nodes=(WantedNode(name="n1", labels={"rack": rack}),), services=services)

    kept = Resolvers()
    same, changed = InstanceId("a", "n1", 0), InstanceId("b", "n1", 0)
    moved = made(3, "2", service("a", "x:1"))
    old = made(1, "1", service("a", "x:1"), service("b", "x:1"))
    new = made(2, "1", service("a", "x:1"), service("b", "x:2"))
    first = {id: kept.of(old).resolve(one, id) for id, one in zip((same, changed), old.services, strict=True)}
    assert kept.of(new).resolve(new.services[0], same) is first[same]
    assert kept.of(new).resolve(new.services[1], changed).spec.image == "x:2"
    other = kept.of(moved).resolve(moved.services[0], same)
    assert (other.spec.environment["N"], first[same].spec.environment["N"]) == ("n12", "n11")
