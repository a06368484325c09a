"""The index in SQL, through SQLAlchemy Core: SQLite in one file by default.

SQLite runs in WAL mode, so readers never wait for the writer, and a writer waits for another one up to ``_BUSY`` seconds.
pysqlite's own transaction control is switched off, because it begins a transaction later than it is asked to
(SQLAlchemy, SQLite dialect, "Serializable isolation / Savepoints / Transactional DDL").
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from mlpublish.errors import StorageError
from mlpublish.storage.index import AuditEntry, Token

SCHEMA = 1
_BUSY = 10.0  # seconds

_tables = sa.MetaData()
_schema = sa.Table("schema_version", _tables, sa.Column("version", sa.Integer, primary_key=True))
_tokens = sa.Table(
    "tokens",
    _tables,
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("id", sa.String(12), nullable=False),
    sa.Column("role", sa.String(16), nullable=False),
)
_audit = sa.Table(
    "audit",
    _tables,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("at", sa.String(32), nullable=False),
    sa.Column("who", sa.String(64), nullable=False),
    sa.Column("app", sa.String(155), index=True),
    sa.Column("what", sa.String(200), nullable=False),
    sa.Column("outcome", sa.String(64), nullable=False),
)


class SqlIndex:
    """An Index in a database.

    Args:
        url: a SQLAlchemy URL; ``in_file`` gives the one of a SQLite file.

    Raises:
        StorageError: the database cannot be opened, or a newer mlpublish wrote it.
    """

    def __init__(self, url: str | sa.URL) -> None:
        self._engine = sa.create_engine(url, connect_args={"timeout": _BUSY} if _is_sqlite(url) else {})
        if _is_sqlite(url):
            sa.event.listen(self._engine, "connect", _on_connect)
            sa.event.listen(self._engine, "begin", _on_begin)
        self._prepare()

    @classmethod
    def in_file(cls, file: Path) -> SqlIndex:
        """The index in a SQLite file, made if absent, readable by its owner only."""
        try:
            os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))
        except OSError as exc:
            raise StorageError(f"The index {file} cannot be opened: {exc.strerror}.", remedy=_CHECK, field="index") from exc
        return cls(sa.URL.create("sqlite", database=str(file)))

    def tokens(self) -> tuple[Token, ...]:
        with self._reading() as connection:
            rows = connection.execute(sa.select(_tokens.c.id, _tokens.c.role, _tokens.c.digest)).all()
        return tuple(Token(id=row.id, role=row.role, digest=row.digest) for row in rows)

    def replace_tokens(self, tokens: Iterable[Token]) -> None:
        rows = [{"id": token.id, "role": token.role, "digest": token.digest} for token in tokens]
        with self._writing() as connection:
            connection.execute(sa.delete(_tokens))
            if rows:
                connection.execute(sa.insert(_tokens), rows)

    def record(self, entry: AuditEntry) -> None:
        values = {
            "at": entry.at.astimezone(UTC).isoformat(timespec="milliseconds"),
            "who": entry.who[:64],
            "app": None if entry.app is None else entry.app[:155],
            "what": entry.what[:200],
            "outcome": entry.outcome[:64],
        }
        with self._writing() as connection:
            connection.execute(sa.insert(_audit).values(values))

    def audit(self, *, app: str | None = None, limit: int = 100) -> tuple[AuditEntry, ...]:
        query = sa.select(_audit).order_by(_audit.c.number.desc()).limit(limit)
        if app is not None:
            query = query.where(_audit.c.app == app)
        with self._reading() as connection:
            rows = connection.execute(query).all()
        return tuple(
            AuditEntry(at=datetime.fromisoformat(row.at), who=row.who, app=row.app, what=row.what, outcome=row.outcome)
            for row in rows
        )

    def close(self) -> None:
        self._engine.dispose()

    def _prepare(self) -> None:
        """Make the tables, or see that they are of a version that this code knows."""
        with self._writing() as connection:
            _tables.create_all(connection)
            found = connection.execute(sa.select(_schema.c.version)).scalar()
            if found is None:
                connection.execute(sa.insert(_schema).values(version=SCHEMA))
            elif found > SCHEMA:
                raise StorageError(
                    f"The index has schema version {found}; this mlpublish knows up to {SCHEMA}.",
                    remedy="Upgrade mlpublish on this machine, or name another index file.",
                    field="index",
                )

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        with _wrapped(), self._engine.connect() as connection:
            yield connection

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        with _wrapped(), self._engine.connect() as connection:
            writing = connection.execution_options(mlpublish_writes=True)
            with writing.begin():
                yield writing


def _is_sqlite(url: str | sa.URL) -> bool:
    return sa.make_url(url).get_backend_name() == "sqlite"


def _on_connect(connection: Any, _record: object) -> None:  # a DB-API connection, which no type describes
    connection.isolation_level = None
    until = time.monotonic() + _BUSY
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError:  # changing the mode asks for the whole file, and does not wait for it as others do
            if time.monotonic() > until:
                raise
            time.sleep(0.02)


def _on_begin(connection: sa.Connection) -> None:
    """A writer takes the lock at once: one that took it later could fail although it waits."""
    writes = connection.get_execution_options().get("mlpublish_writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextlib.contextmanager
def _wrapped() -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as exc:
        # str(exc) would carry the statement and its values; the driver's own words are enough
        reason = getattr(exc, "orig", None) or type(exc).__name__
        raise StorageError(f"The index failed: {reason}.", remedy=_CHECK, field="index") from exc


_CHECK = "Check the index file's path, its permissions and the space left on its disk."
