"""Types of the records' fields: limits and JSON forms, each stated once.

Whoever builds a record pays nothing for them: they are plain annotations. Validation and the JSON Schema follow from
them through two hooks that pydantic looks for, in `playground.export`; without pydantic the records work all the same.
Knows no record.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema

INFINITE = 1e30  # what infinity is written as; also the score, negated, of a beam that stands for nothing
LARGEST_NUMBER = 1e300  # of a number that is read; beyond lies only what no engine wrote
LARGEST_COUNT = 2**53 - 1  # the last whole number that every JSON reader holds exactly
LARGEST_ID = 2**31 - 1


@dataclass(frozen=True)
class Limits:
    """What a number may be."""

    low: float | None = None
    high: float | None = None
    above: float | None = None  # a lower limit that is not reached

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        stated = {"ge": self.low, "le": self.high, "gt": self.above}
        limited: Any = {**handler(source), **{name: limit for name, limit in stated.items() if limit is not None}}
        return limited  # type: ignore[no-any-return]


class NullForNan:
    """A number that JSON says null for when it is none (infinite is written as +-1e30)."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core import core_schema

        nullable = core_schema.nullable_schema(handler(source))
        return core_schema.no_info_after_validator_function(_nan_for_null, nullable)


@dataclass(frozen=True)
class Pattern:
    """How a text looks in JSON. Told by the schema; what is read is checked where its meaning is known."""

    regex: str

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "string", "pattern": self.regex}


def _nan_for_null(value: float | None) -> float:
    return math.nan if value is None else value


Count = Annotated[int, Limits(0, LARGEST_COUNT)]
Token = Annotated[int, Limits(0, LARGEST_ID)]
Node = Annotated[int, Limits(0, LARGEST_ID)]
MaybeToken = Annotated[int, Limits(-1, LARGEST_ID)]  # -1 stands for nothing
MaybeNode = Annotated[int, Limits(-1, LARGEST_ID)]  # -1 stands for nothing
Number = Annotated[float, Limits(-LARGEST_NUMBER, LARGEST_NUMBER), NullForNan()]
Ms = Annotated[float, Limits(0, LARGEST_NUMBER), NullForNan()]
LogProbability = Annotated[float, Limits(-LARGEST_NUMBER, 1.0), NullForNan()]  # rounding may lift it a hair above 0
HexBytes = Annotated[bytes, Pattern("^([0-9a-f]{2})*$")]
TokenBytes = Mapping[Annotated[int, Limits(0, LARGEST_ID), Pattern("^[0-9]+$")], HexBytes]
