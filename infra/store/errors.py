"""What can go wrong with the store: one tree, one clear line each, and the remedy in the line.

StoreError
|- StoreUnavailable  the URL is wrong, or no database answers there
|- StoreFull         the disk is full, or the database may not be written
|- StoreConflict     a row with the same unique key is already there
`- StoreVersion      the database was made by another version of Palestra
"""

import re

from sqlalchemy import exc
from sqlalchemy.engine import URL, make_url


class StoreError(Exception):
    """Base of all errors of the store."""


class StoreUnavailable(StoreError):
    """The database cannot be reached or is not one."""


class StoreFull(StoreError):
    """Nothing more can be written: the disk is full or the database is read-only."""


class StoreConflict(StoreError):
    """A unique key is taken, or a row that is pointed at is missing."""


class StoreVersion(StoreError):
    """The tables were made by another version of the schema."""


_FULL = {"disk is full", "no space left", "disk i/o error", "disk quota exceeded"}
_READ_ONLY = {"readonly database", "read-only transaction", "permission denied"}
_FULL_STATES = {"53100", "53200"}
_READ_ONLY_STATES = {"25006", "42501"}


def hide_password(url: str | URL) -> str:
    """The URL with its password, if it has one, written as ***."""
    try:
        shown = make_url(url).render_as_string(hide_password=True)
    except exc.ArgumentError:
        shown = re.sub(r"://.*@", "://***@", str(url))
    return re.sub(r"(password=)[^&]*", r"\1***", shown)


def translate(error: exc.SQLAlchemyError, url: str) -> StoreError:
    """Our error for one of SQLAlchemy's; `url` is already free of its password."""
    if not isinstance(error, exc.DBAPIError):
        return StoreError(f"store {url}: {_one_line(error)}")
    cause = _one_line(error.orig)
    text, state = cause.lower(), str(getattr(error.orig, "sqlstate", None) or "")
    if isinstance(error, exc.IntegrityError):
        return StoreConflict(f"store {url}: {cause}")
    if state in _FULL_STATES or any(mark in text for mark in _FULL):
        return StoreFull(f"store {url} is full ({cause}): free space on its disk, or give another place with --store")
    if state in _READ_ONLY_STATES or any(mark in text for mark in _READ_ONLY):
        return StoreFull(f"store {url} cannot be written ({cause}): mend its permissions, or give another with --store")
    if "unable to open database" in text:
        remedy = "check that its folder exists and can be written, or give another place with --store"
        return StoreUnavailable(f"store {url} cannot be opened ({cause}): {remedy}")
    if "database is locked" in text:
        return StoreUnavailable(f"store {url} is held by another process ({cause}): end that one, or wait for it")
    if "not a database" in text or "malformed" in text:
        return StoreUnavailable(f"store {url} is not a database ({cause}): give another file with --store")
    if isinstance(error, exc.OperationalError | exc.InterfaceError) or state.startswith(("08", "57P", "28", "3D")):
        return StoreUnavailable(
            f"store {url} cannot be reached ({cause}): check that the database runs and that --store names it"
        )
    return StoreError(f"store {url}: {cause}")


def _one_line(error: BaseException | None) -> str:
    """The first line of an error's text, spaces collapsed, at most 300 characters."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join((lines[0] if lines else type(error).__name__).split())[:300]
