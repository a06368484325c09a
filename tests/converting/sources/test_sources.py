"""Every estimator of the catalogue is right on the saved file, or is refused by name."""

from __future__ import annotations

import pytest

from mlpublish.converting.convert import convert
from mlpublish.errors import ConversionError
from tests.converting.sources import measured
from tests.converting.sources.catalogue import entries, refusals
from tests.converting.sources.trial import tried


@pytest.mark.parametrize("entry", [pytest.param(entry, id=entry.id) for entry in entries()])
def test_the_saved_file_answers_as_its_source_and_as_near_as_the_page_says(tmp_path, entry):
    outcome = tried(entry, tmp_path)
    assert outcome.rows >= 2 * len(entry.data.held)
    assert outcome.worst <= measured.told(entry.id).bound


@pytest.mark.filterwarnings("ignore")  # a library's own advice about its settings
@pytest.mark.parametrize("refusal", [pytest.param(refusal, id=refusal.id) for refusal in refusals()])
def test_what_is_not_right_is_refused_by_name_and_leaves_nothing(tmp_path, refusal):
    model = refusal.fit(refusal.data)
    with pytest.raises(ConversionError) as caught:
        convert(model, name="m", samples=refusal.data.held, out=tmp_path / "out", progress=False)
    assert refusal.names.lower() in caught.value.problem.lower()
    assert measured.refused(refusal.id) == (caught.value.problem, caught.value.remedy)
    assert not (tmp_path / "out").exists()
