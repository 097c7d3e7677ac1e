"""Column types that hold whatever a policy or a plugin produced, alike on SQLite and PostgreSQL.

PostgreSQL refuses NUL in text and NaN in JSON, neither database takes lone surrogates, SQLite forgets time zones. A bad
rollout is data, so text is made storable here rather than refused: NUL becomes U+2400, a lone surrogate U+FFFD, a
non-finite number in JSON its name ("NaN"), an object that is not JSON its repr. Token arrays are stored exactly.
"""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, DateTime, Dialect, Integer, Text
from sqlalchemy.types import TypeDecorator

Sequence64 = BigInteger().with_variant(Integer, "sqlite")
"""The type of `seq`: SQLite counts up by itself only in a column declared INTEGER."""

_DEEPEST = 100
_SURROGATE = re.compile("[\ud800-\udfff]")


def utcnow() -> datetime:
    """The time now, with its zone (UTC)."""
    return datetime.now(UTC)


def storable(text: str) -> str:
    """`text` as both databases can hold it: no NUL, no lone surrogate."""
    return _SURROGATE.sub("\ufffd", text.replace("\0", "\u2400"))


def plain_json(value: object, depth: int = 0) -> Any:
    """`value` as JSON that both databases can hold; never raises. Deeper than 100 levels it is cut to "..."."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return (
            float(value) if math.isfinite(value) else str(float(value)).replace("nan", "NaN").replace("inf", "Infinity")
        )
    if depth >= _DEEPEST:
        return "..."
    if isinstance(value, Mapping):
        return {storable(str(key)): plain_json(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_json(item, depth + 1) for item in value]
    return storable(repr(value))


class SafeText(TypeDecorator[str]):
    """Text from anywhere; see the top of this file."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else storable(value)


class SafeJson(TypeDecorator[Any]):
    """JSON from anywhere; Python's None is SQL's NULL."""

    impl = JSON(none_as_null=True)
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        return plain_json(value)


class UtcTime(TypeDecorator[datetime]):
    """A point in time: aware datetimes in, UTC out, on databases without zones too."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone")
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
