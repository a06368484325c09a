"""What ``mlpublish bench`` says before it measures, and how its result is labelled."""

from __future__ import annotations


def test_the_schema_of_a_result_is_that_of_its_errors(cli, monkeypatch):
    from mlpublish.benchmarks import convert, evaluate, mutations
    from mlpublish.benchmarks.conversions import ConversionsReport
    from mlpublish.benchmarks.speed import SpeedReport
    from mlpublish.benchmarks.trial import Study

    monkeypatch.setattr(evaluate, "bench_evaluate", lambda *names, rounds: SpeedReport(speeds=(), rounds=rounds, machine="m"))
    nothing = ConversionsReport(conversions=(), rounds=1, machine="m")
    monkeypatch.setattr(convert, "bench_convert", lambda *names, rounds: nothing)
    monkeypatch.setattr(mutations, "study", lambda *names: Study(trials=()))
    assert cli("bench", "evaluate", "--json").envelope["schema"] == "mlpublish.bench.evaluate/1"
    assert cli("bench", "convert", "--json").envelope["schema"] == "mlpublish.bench.convert/1"
    assert cli("bench", "mutations", "--json").envelope["schema"] == "mlpublish.bench.mutations/1"


def test_a_page_that_cannot_be_written_is_refused_before_the_study_begins(cli, tmp_path):
    ran = cli("bench", "mutations", "--page", tmp_path / "none" / "page.md", "--json")
    assert (ran.code, ran.error["field"]) == (2, "page")


def test_names_with_commas_in_them_are_quoted(cli):
    assert "'boosted, absolute error'" in cli("bench", "mutations", "bogus", "--json").error["remedy"]
