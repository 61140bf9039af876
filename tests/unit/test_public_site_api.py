"""The API of the public site against its own description: random requests that it allows, and random wrong ones."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode, checks
from schemathesis.specs.openapi import checks as openapi_checks

from countingroom.mirror.store.reader import PublicReader
from countingroom.site.making import Site
from countingroom.site.rendering import SiteSettings
from countingroom.testing.clock import FakeClock
from tests.public_records_of_a_farm import farm_of, filled_store

GENERAL: Any = checks
CONFORMANCE: Any = openapi_checks
CHECKS = [
    GENERAL.not_a_server_error,
    CONFORMANCE.status_code_conformance,
    CONFORMANCE.content_type_conformance,
    CONFORMANCE.response_schema_conformance,
    CONFORMANCE.allow_header_conformance,
]
RARE = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
EXAMPLES = {GenerationMode.POSITIVE: 15, GenerationMode.NEGATIVE: 6}
KNOWN = {"number": 390_004, "run": 390_004, "from": 390_001, "to": 390_004}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The description as the site gives it, with the site behind it."""
    path = tmp_path_factory.mktemp("site") / "public.sqlite"
    clock = FakeClock()
    reader = PublicReader(f"sqlite:///{path}")
    site = Site(reader, clock, SiteSettings(title="Bench"), version="1")

    async def begin() -> None:
        await (await filled_store(path, clock, farm_of(4, 6, clock.now_ns() / 1e9))).close()
        await reader.open()
        await site.look()

    asyncio.run(begin())
    yield schemathesis.openapi.from_asgi("/api/v1/openapi.json", site.application)
    asyncio.run(reader.close())


@pytest.mark.server
@pytest.mark.parametrize("mode", list(GenerationMode))
def test_no_request_fails_the_site_and_answers_are_as_described(api: Any, mode: GenerationMode) -> None:
    operations = [found.ok() for found in api.get_all_operations()]
    assert len(operations) > 8
    for operation in operations:
        if mode is GenerationMode.NEGATIVE and not operation.definition.raw["parameters"]:
            continue  # nothing can be wrong in it

        @settings(max_examples=EXAMPLES[mode], deadline=None, suppress_health_check=RARE, database=None)
        @given(operation.as_strategy(generation_mode=mode))
        def ask(case: Any) -> None:
            case.call_and_validate(checks=CHECKS)
            for parameters in (case.path_parameters, case.query):
                parameters.update({name: KNOWN[name] for name in KNOWN.keys() & parameters.keys()})
            case.call_and_validate(checks=CHECKS)

        ask()
