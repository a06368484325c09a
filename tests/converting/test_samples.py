from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mlpublish.converting.samples import read_samples
from mlpublish.errors import RecipeError

FRAME = pd.DataFrame({"size": [1.5, None, 3], "city": ["Ulm", None, "Bonn"]})


@pytest.mark.parametrize(
    ("name", "write"),
    [("f.csv", lambda path: FRAME.to_csv(path, index=False)), ("F.PARQUET", FRAME.to_parquet)],
    ids=["csv", "parquet"],
)
def test_a_table_keeps_its_columns_and_what_is_missing(tmp_path, name, write):
    write(tmp_path / name)
    read = read_samples(tmp_path / name)
    assert list(read.columns) == ["size", "city"]
    np.testing.assert_array_equal(read["size"], [1.5, np.nan, 3])
    assert read["city"].isna().tolist() == [False, True, False]


def test_arrays_come_alone_or_by_name(tmp_path):
    np.save(tmp_path / "one.npy", np.eye(2))
    np.savez(tmp_path / "one.npz", rows=np.eye(2))
    np.savez(tmp_path / "two.npz", a=np.eye(2), b=np.ones(2))
    np.testing.assert_array_equal(read_samples(tmp_path / "one.npy"), np.eye(2))
    np.testing.assert_array_equal(read_samples(tmp_path / "one.npz"), np.eye(2))
    assert sorted(read_samples(tmp_path / "two.npz")) == ["a", "b"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("f.csv", b""),
        ("f.csv", b'"a\n1'),
        ("f.csv", b"\xff\xfe\x00"),
        ("f.parquet", b"hello"),
        ("f.npy", b""),
        ("f.npz", b"1,2"),
    ],
    ids=["empty", "open quote", "no text", "no parquet", "no npy", "no npz"],
)
def test_a_file_without_samples_is_told_in_one_line(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(RecipeError, match=r"holds no (table|arrays)") as refused:
        read_samples(tmp_path / name)
    assert "\n" not in str(refused.value)
