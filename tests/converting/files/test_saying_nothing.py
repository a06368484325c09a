"""An error that says nothing is told by its class."""

from __future__ import annotations

import pytest

from mlpublish.converting.files import lightgbm_text
from mlpublish.converting.files.xgboost_file import fact_of
from mlpublish.errors import ConversionError


def test_xgboosts_error_that_says_nothing_has_its_name():
    assert fact_of(ValueError()) == "ValueError"
    assert fact_of(ValueError("[12:00:00] /src/model.cc:12: Check failed: n == 3: It lacks.\nStack:")) == "n == 3: It lacks"


def test_lightgbms_text_that_fails_without_a_word_is_told(monkeypatch):
    def failing(text):
        raise ValueError

    monkeypatch.setattr(lightgbm_text, "_block", failing)
    with pytest.raises(ConversionError, match=r"no whole model of LightGBM: ValueError\."):
        lightgbm_text.parsed("end of trees")
