from __future__ import annotations

import pickle

from mlpublish.errors import FormatError


def test_what_a_file_says_of_itself_does_not_move_the_cursor_of_who_reads_the_error():
    error = FormatError("The item 'a\x1b[2J\x9b1mb' is missing.", remedy="Get it again.")
    assert str(error) == r"The item 'a\x1b[2J\x9b1mb' is missing. Get it again."
    assert error.args == (error.problem,)


def test_a_long_problem_is_cut_and_says_how_long_it_was():
    error = FormatError("The equation " + "a" * 700_000, remedy="Shorten it.")
    assert len(error.problem) < 20_100
    assert error.problem.endswith("… (700013 characters)")


def test_lines_and_what_is_not_ascii_stay():
    assert FormatError("é\n\tß", remedy="r").problem == "é\n\tß"


def test_an_error_is_the_same_in_another_process():
    again = pickle.loads(pickle.dumps(FormatError("a\x1b", remedy="r", field="f")))
    assert (again.problem, again.remedy, again.field) == (r"a\x1b", "r", "f")
