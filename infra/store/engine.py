"""Opening a database: the engine with the settings that keep what was acknowledged, and the schema with its version."""

import importlib.util
import os
import time
import weakref
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, exc, inspect, select, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.pool import StaticPool

from .errors import StoreUnavailable, StoreVersion, hide_password
from .models import Base, SchemaVersion

SCHEMA_VERSION = 4
WRITING = "palestra_writing"
"""Execution option: take SQLite's write lock when the transaction begins, so that waiting for it cannot fail midway."""

_BUSY_SECONDS = 30
_SCHEMA_LOCK = 0x70616C65


def is_memory(url: URL) -> bool:
    """Whether the URL names an SQLite database that lives in this process only."""
    return url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:")


def parse_url(url: str) -> URL:
    """The parsed URL, with psycopg as PostgreSQL's driver unless it names one; raises StoreUnavailable."""
    example = "sqlite:///palestra.db or postgresql://user:password@host/name"
    try:
        parsed = make_url(url)
    except (exc.ArgumentError, ValueError):
        raise StoreUnavailable(
            f"store {hide_password(url)!r} is not a database URL: write one like {example}"
        ) from None
    if parsed.drivername in ("postgresql", "postgres"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() not in ("sqlite", "postgresql"):
        shown = hide_password(parsed)
        raise StoreUnavailable(f"store {shown} is neither SQLite nor PostgreSQL: write a URL like {example}")
    return parsed


def open_engine(url: URL) -> Engine:
    """An engine for `url`; nothing is connected yet. Raises StoreUnavailable for a missing driver or folder."""
    shown = hide_password(url)
    options: dict[str, Any] = {"connect_args": {}}
    if url.get_backend_name() == "postgresql":
        if importlib.util.find_spec("psycopg") is None and url.get_driver_name() == "psycopg":
            raise StoreUnavailable(f"store {shown} needs PostgreSQL's driver: pip install 'psycopg[binary]'")
        options["pool_pre_ping"] = True
        if "connect_timeout" not in url.query:
            options["connect_args"]["connect_timeout"] = 10
    elif is_memory(url):
        options["poolclass"] = StaticPool
        options["connect_args"]["check_same_thread"] = False
    else:
        _check_folder(url, shown)
    try:
        engine = create_engine(url, **options)
    except (exc.ArgumentError, ImportError) as error:
        raise StoreUnavailable(f"store {shown} cannot be opened ({error}): check the driver in its URL") from None
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    _forget_after_fork(engine)
    return engine


def _check_folder(url: URL, shown: str) -> None:
    path = Path(url.database or "")
    if str(path).startswith("file:"):
        return
    if not path.parent.is_dir():
        raise StoreUnavailable(f"store {shown}: the folder {path.parent} does not exist: mkdir -p '{path.parent}'")
    if path.is_dir():
        raise StoreUnavailable(f"store {shown}: {path} is a folder: name a file in it")


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    """Write-ahead log, fsync at each commit, patience with other writers, foreign keys."""
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout = {_BUSY_SECONDS * 1000}")
    connection.execute("PRAGMA foreign_keys = ON")
    _use_wal(connection)
    connection.execute("PRAGMA synchronous = FULL")


def _use_wal(connection: Any) -> None:
    """Switch to the write-ahead log; SQLite does not wait for other openers here, so we do."""
    deadline = time.monotonic() + _BUSY_SECONDS
    while connection.execute("PRAGMA journal_mode").fetchone()[0] not in ("wal", "memory"):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except Exception as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _begin_sqlite(connection: Connection) -> None:
    writing = connection.get_execution_options().get(WRITING, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


def _forget_after_fork(engine: Engine) -> None:
    """A forked child must not talk through its parent's connections."""
    reference = weakref.ref(engine)

    def forget() -> None:
        alive = reference()
        if alive is not None:
            alive.dispose(close=False)

    os.register_at_fork(after_in_child=forget)


def ensure_schema(engine: Engine, shown: str) -> None:
    """Create the tables where there are none; raises StoreVersion where they are of another version."""
    with engine.connect() as connection:
        if _check_version(connection, shown):
            return
    with engine.execution_options(**{WRITING: True}).begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text(f"SELECT pg_advisory_xact_lock({_SCHEMA_LOCK})"))
        if not _check_version(connection, shown):
            Base.metadata.create_all(connection)
            connection.execute(SchemaVersion.__table__.insert().values(version=SCHEMA_VERSION))  # type: ignore[attr-defined]


def _check_version(connection: Connection, shown: str) -> bool:
    """Whether our tables are there; raises StoreVersion if they are not exactly ours."""
    present = set(inspect(connection).get_table_names())
    remedy = "give a new one with --store (for example sqlite:///new.db)"
    if SchemaVersion.__tablename__ not in present:
        if foreign := sorted(present & set(Base.metadata.tables)):
            raise StoreVersion(f"store {shown} holds tables of another program ({', '.join(foreign)}): {remedy}")
        return False
    found = connection.execute(select(SchemaVersion.version)).scalars().first()
    if found is None or found < SCHEMA_VERSION:
        older = "an older" if found is not None else "an unknown"
        raise StoreVersion(
            f"store {shown} has {older} schema (version {found}, this Palestra writes {SCHEMA_VERSION}): "
            f"open it with the Palestra that made it, or {remedy}"
        )
    if found > SCHEMA_VERSION:
        raise StoreVersion(
            f"store {shown} has a newer schema (version {found}, this Palestra reads {SCHEMA_VERSION}): "
            f"upgrade with pip install -U palestra, or {remedy}"
        )
    return True
