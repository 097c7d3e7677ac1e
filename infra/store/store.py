"""The store: what a run made, kept in SQLite or PostgreSQL, written by many processes at once.

A call that returned has committed: SQLite runs with a write-ahead log and an fsync at each commit, so that neither
`kill -9` nor a power cut loses what was acknowledged. Rows handed out are detached: read them freely after the call.
"""

import math
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, delete, exc, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session, defer

from .engine import WRITING, ensure_schema, is_memory, open_engine, parse_url
from .errors import StoreError, hide_password, translate
from .models import Base, Metric, Rollout

M = TypeVar("M", bound=Base)
MAX_LIMIT = 1000
_MAX_SEQ = 2**63 - 1


class Store:
    """A database by its SQLAlchemy URL. Raises a StoreError at once if it cannot be used; picklable (it reopens)."""

    def __init__(self, url: str = "sqlite:///palestra.db") -> None:
        parsed = parse_url(url)
        self.url = url
        self.shown_url = hide_password(parsed)
        self.engine = open_engine(parsed)
        self._writer = self.engine.execution_options(**{WRITING: True})
        self._gate: AbstractContextManager[Any] = threading.RLock() if is_memory(parsed) else nullcontext()
        try:
            with self._translated():
                ensure_schema(self.engine, self.shown_url)
        except StoreError:
            self.close()
            raise

    def __reduce__(self) -> tuple[Callable[[str], "Store"], tuple[str]]:
        return Store, (self.url,)

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give back all connections."""
        self.engine.dispose()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except exc.SQLAlchemyError as error:
            raise translate(error, self.shown_url) from error
        except OverflowError as error:
            raise StoreError(f"store {self.shown_url}: a number does not fit into 64 bits ({error})") from error

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A writing transaction: committed at the end of the block, undone if it raises. Raises StoreError."""
        with self._gate, self._translated(), Session(self._writer, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A transaction that only reads; it never waits for a writer."""
        with self._gate, self._translated(), Session(self.engine, expire_on_commit=False) as session:
            yield session

    def add(self, *rows: Base) -> None:
        """Store all rows or none, in one transaction; raises StoreConflict when a unique key is taken."""
        with self.session() as session:
            _insert_in_order(session, rows)

    def add_once(self, row: Base, *with_it: Base, instead_of: Sequence[ColumnElement[bool]] = ()) -> bool:
        """Store `row` unless its unique key is taken; say whether it was stored.

        `with_it` (a rollout's turns and verdict) goes into the same transaction, and only with `row`: a process killed
        between them leaves neither. Rows of the same table that meet all conditions of `instead_of` make room in that
        transaction too, with what hangs on them.
        """
        table = type(row).__table__
        values = {
            attr.columns[0].name: getattr(row, attr.key)
            for attr in row.__mapper__.column_attrs
            if attr.key in row.__dict__
        }
        with self.session() as session:
            if instead_of:
                session.execute(delete(type(row)).where(*instead_of))
            postgres = session.get_bind().dialect.name == "postgresql"
            insert: Any = postgresql.insert if postgres else sqlite.insert
            statement = insert(table).values(**values).on_conflict_do_nothing().returning(table.c.seq)
            seq = session.execute(statement).scalar()
            if seq is None:
                return False
            row.seq = seq
            _insert_in_order(session, with_it)
        return True

    def get(self, model: type[M], id: str | int) -> M | None:
        """The row with this id (by `seq` for tables without ids), or None."""
        columns = model.__mapper__.columns
        with self.reading() as session:
            return session.scalars(select(model).where(columns["id" if "id" in columns else "seq"] == id)).first()

    def page(
        self,
        model: type[M],
        *,
        after: str | None = None,
        limit: int = 50,
        newest: bool = False,
        where: Sequence[ColumnElement[bool]] = (),
        skip: Sequence[str] = (),
        **equals: object,
    ) -> tuple[list[M], str | None]:
        """Up to `limit` rows after the cursor in order of insertion (`newest`: against it), and the next cursor.

        `equals` are column values to filter by (None means NULL), `where` any further conditions; the columns named in
        `skip` (big blobs) are not loaded. Raises ValueError for a bad cursor, limit or column name.
        """
        if not 1 <= limit <= MAX_LIMIT:
            raise ValueError(f"limit {limit} is not between 1 and {MAX_LIMIT}")
        query = select(model).where(*_conditions(model, equals), *where).limit(limit + 1)
        query = query.order_by(model.seq.desc() if newest else model.seq)
        if after is not None:
            seq = _parse_cursor(after)
            query = query.where(model.seq < seq if newest else model.seq > seq)
        query = query.options(*(defer(getattr(model, name), raiseload=True) for name in skip))
        with self.reading() as session:
            rows = list(session.scalars(query))
        more = len(rows) > limit
        rows = rows[:limit]
        return rows, str(rows[-1].seq) if more else None

    def count(self, model: type[Base], *, where: Sequence[ColumnElement[bool]] = (), **equals: object) -> int:
        """How many rows there are that match (filters as in `page`)."""
        query = select(func.count()).select_from(model).where(*_conditions(model, equals), *where)
        with self.reading() as session:
            return int(session.execute(query).scalar_one())

    def update(self, model: type[Base], id: str, **values: object) -> bool:
        """Set columns of the row with this id; say whether there is one. Raises ValueError for an unknown column."""
        columns = model.__mapper__.columns
        _conditions(model, values)
        with self.session() as session:
            result = session.execute(update(model).where(columns["id"] == id).values(**values).returning(columns["id"]))
            return result.scalar() is not None

    def finished(self, job_id: str, *where: ColumnElement[bool]) -> set[tuple[str, int]]:
        """The (task id, sample) pairs of a job that are stored already: what a resumed job need not repeat."""
        with self.reading() as session:
            pairs = session.execute(select(Rollout.task_id, Rollout.sample).where(Rollout.job_id == job_id, *where))
            return {(task_id, sample) for task_id, sample in pairs}

    def log_metrics(self, run_id: str, step: int, values: Mapping[str, float]) -> None:
        """Store numbers of a run at a step, in one transaction; a number that is not finite is kept as NULL."""
        numbers = {name: float(value) for name, value in values.items()}
        self.add(
            *(
                Metric(run_id=run_id, step=step, name=name, value=number if math.isfinite(number) else None)
                for name, number in numbers.items()
            )
        )

    def forget_metrics(self, run_id: str, after: int) -> int:
        """Delete the numbers of a run beyond step `after`, as it goes on from there; returns how many there were."""
        with self.session() as session:
            beyond = delete(Metric).where(Metric.run_id == run_id, Metric.step > after).returning(Metric.seq)
            return len(session.execute(beyond).all())


def _insert_in_order(session: Session, rows: Sequence[Base]) -> None:
    """Insert table by table, so that a row comes after the one it points at; within a table in the order given."""
    for table in Base.metadata.sorted_tables:
        session.add_all([row for row in rows if type(row).__table__ is table])
        session.flush()


def _conditions(model: type[Base], equals: Mapping[str, object]) -> list[ColumnElement[bool]]:
    columns = model.__mapper__.columns
    if unknown := sorted(set(equals) - set(columns.keys())):
        raise ValueError(f"{model.__name__} has no column {unknown[0]!r}: it has {', '.join(columns.keys())}")
    return [columns[name] == value for name, value in equals.items()]


def _parse_cursor(after: str) -> int:
    if not after.isascii() or not after.isdigit() or len(after) > 19 or int(after) > _MAX_SEQ:
        raise ValueError(f"cursor {after[:40]!r} is not one that a page gave as next")
    return int(after)
