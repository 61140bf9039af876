"""Reads the secrets of an instance when it is made or started."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from countingroom.core.fleet.specs import InstanceId
from countingroom.core.yaml.secret_reference import SecretReference


async def read_secrets(id: InstanceId, places: Mapping[str, str]) -> Mapping[str, str]:
    """Variable -> value, from `ServiceSpec.secrets`. ConfigurationError where one cannot be read."""
    return await asyncio.to_thread(_read, id, places) if places else {}


def _read(id: InstanceId, places: Mapping[str, str]) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for name, place in places.items():
        kind, _, where = place.partition(":")
        found[name] = SecretReference.model_validate({kind: where}).read(f"fleet.{id}.secrets.{name}")
    return found
