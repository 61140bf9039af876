"""The JSON Schema of a section with the texts below its fields, read from the source.

pydantic reads them where a class is made (`use_attribute_docstrings`). That took a third of the time to import all
sections, in each process of an experiment and for each command; only the schema needs them.
"""

from __future__ import annotations

import ast
import inspect
import sys
from itertools import pairwise
from typing import Any, cast

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from countingroom.core.yaml.section import Section


class SchemaWithTexts(GenerateJsonSchema):
    """For `model_json_schema(schema_generator=SchemaWithTexts)`."""

    def __init__(self, *args: Any, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        self._texts: dict[str, dict[str, dict[str, str]]] = {}
        """Module -> class, by its qualified name -> field -> text."""

    def model_schema(self, schema: Any) -> JsonSchemaValue:
        """That of pydantic, and a description for each field that has none of its own."""
        made = super().model_schema(schema)
        model = schema["cls"]
        if issubclass(model, Section):
            properties = cast(dict[str, dict[str, Any]], made.get("properties", {}))
            for name, text in self._of(model).items():
                field = model.model_fields[name]
                if shown := properties.get(field.alias or name):
                    shown.setdefault("description", text)
        return made

    def _of(self, model: type[Section]) -> dict[str, str]:
        """The texts of its fields; one that is declared again has the text of there."""
        found: dict[str, str] = {}
        for kind in reversed(model.__mro__):
            if issubclass(kind, Section):
                for name in inspect.get_annotations(kind):
                    found.pop(name, None)
                found |= self._of_module(kind.__module__).get(kind.__qualname__, {})
        return {name: text for name, text in found.items() if name in model.model_fields}

    def _of_module(self, name: str) -> dict[str, dict[str, str]]:
        if name not in self._texts:
            try:
                tree = ast.parse(inspect.getsource(sys.modules[name]))
            except (KeyError, OSError, TypeError):  # a class that was not made from a file
                self._texts[name] = {}
            else:
                self._texts[name] = dict(_classes(tree, ""))
        return self._texts[name]


def _classes(tree: ast.AST, prefix: str) -> list[tuple[str, dict[str, str]]]:
    """Each class in it by its qualified name, with the texts of its fields."""
    found: list[tuple[str, dict[str, str]]] = []
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef):
            found.append((prefix + node.name, _fields(node)))
            found += _classes(node, f"{prefix}{node.name}.")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found += _classes(node, f"{prefix}{node.name}.<locals>.")
    return found


def _fields(node: ast.ClassDef) -> dict[str, str]:
    return {
        field.target.id: inspect.cleandoc(text.value.value)
        for field, text in pairwise(node.body)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant) and isinstance(text.value.value, str)
    }
