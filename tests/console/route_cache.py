"""Consoles of many tests in one process: what FastAPI finds out about the parameters of a route is found out once.

Each test makes a console of its own, with its own state. Its hundred routes are the same functions every time; looking
at their signatures again was two thirds of the time that a console needs.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from fastapi.dependencies import utils


def install() -> None:
    """Replace two functions of FastAPI by ones that remember. What a function of a module declares never changes."""
    signatures: dict[Callable[..., Any], inspect.Signature] = {}
    details: dict[tuple[int, int, str, bool], tuple[Any, utils.ParamDetails]] = {}
    """With the default value, which keeps its id from being given to another one."""
    known: set[int] = set()
    find, analyze = utils._get_signature, utils.analyze_param

    def signature_of(call: Callable[..., Any]) -> inspect.Signature:
        if not inspect.isfunction(call) or call.__closure__:
            return find(call)
        if call not in signatures:
            signatures[call] = found = find(call)
            known.update(id(one.annotation) for one in found.parameters.values())
        return signatures[call]

    def details_of(*, param_name: str, annotation: Any, value: Any, path_param_names: set[str]) -> utils.ParamDetails:
        given = {"param_name": param_name, "annotation": annotation, "value": value}
        if id(annotation) not in known:
            return analyze(**given, path_param_names=path_param_names)
        key = (id(annotation), id(value), param_name, param_name in path_param_names)
        if key not in details:
            details[key] = (value, analyze(**given, path_param_names=path_param_names))
        return details[key][1]

    utils._get_signature = signature_of
    utils.analyze_param = details_of
