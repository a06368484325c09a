from __future__ import annotations

import sqlite3
import stat
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mlpublish.errors import StorageError
from mlpublish.storage.in_sql import SqlIndex
from mlpublish.storage.index import AuditEntry, Token

ADMIN = Token(id="aa", role="admin", digest="a" * 64)
MONITOR = Token(id="bb", role="monitor", digest="b" * 64)


def entry(number: int, *, app: str | None = None) -> AuditEntry:
    at = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
    return AuditEntry(at=at, who="admin:aa", app=app, what=f"commit {number}", outcome="created")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "index.sqlite"


def test_tokens_are_replaced_as_a_whole_and_stay(file: Path) -> None:
    index = SqlIndex.in_file(file)
    assert index.tokens() == ()
    index.replace_tokens([ADMIN, MONITOR])
    assert set(index.tokens()) == {ADMIN, MONITOR}
    index.replace_tokens([MONITOR])
    index.close()
    assert SqlIndex.in_file(file).tokens() == (MONITOR,)
    index.replace_tokens([])
    assert index.tokens() == ()


def test_a_replacement_that_fails_changes_nothing(file: Path) -> None:
    index = SqlIndex.in_file(file)
    index.replace_tokens([ADMIN])
    with pytest.raises(StorageError):
        index.replace_tokens([MONITOR, MONITOR])
    assert index.tokens() == (ADMIN,)


def test_the_audit_gives_the_latest_first(file: Path) -> None:
    index = SqlIndex.in_file(file)
    for number in range(5):
        index.record(entry(number, app="com.acme.a" if number % 2 else None))
    assert index.audit(limit=2) == (entry(4), entry(3, app="com.acme.a"))
    assert [row.what for row in index.audit(app="com.acme.a")] == ["commit 3", "commit 1"]


def test_an_entry_of_any_length_is_taken_cut(file: Path) -> None:
    index = SqlIndex.in_file(file)
    index.record(AuditEntry(at=datetime.now(UTC), who="x" * 1000, app="y" * 1000, what="z" * 1000, outcome="o" * 1000))
    [row] = index.audit()
    assert [len(text) for text in (row.who, row.app or "", row.what, row.outcome)] == [64, 155, 200, 64]


def test_only_its_owner_reads_it(file: Path) -> None:
    SqlIndex.in_file(file).record(entry(1))
    assert {stat.S_IMODE(each.stat().st_mode) for each in file.parent.iterdir()} == {0o600}


def test_a_newer_schema_is_refused_and_left_as_it_is(file: Path) -> None:
    SqlIndex.in_file(file).close()
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE schema_version SET version = 99")
    with pytest.raises(StorageError, match="schema version 99") as raised:
        SqlIndex.in_file(file)
    assert "Upgrade" in raised.value.remedy


@pytest.mark.parametrize("content", [b"this is no database, whatever its name says" * 50, b"SQLite format 3\0"])
def test_another_file_is_refused_without_a_traceback_of_sql(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(StorageError, match="The index failed") as raised:
        SqlIndex.in_file(file)
    assert "SELECT" not in str(raised.value)
    assert file.read_bytes() == content


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be opened"):
        SqlIndex.in_file(tmp_path / "nowhere" / "index.sqlite")


def test_many_may_open_and_write_at_once(file: Path) -> None:
    failures: list[Exception] = []

    def work(worker: int) -> None:
        try:
            index = SqlIndex.in_file(file)
            for number in range(20):
                index.record(entry(100 * worker + number))
        except StorageError as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len({row.what for row in SqlIndex.in_file(file).audit(limit=1000)}) == 120
