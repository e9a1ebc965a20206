from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bascule.config.dotenv import Assignment, parse_dotenv


def values(text: str) -> dict[str, str]:
    found = parse_dotenv(text)
    assert not [each.problem for each in found if each.problem]
    return {each.name: each.value for each in found}


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=x", "x"),
        ("A = x  ", "x"),
        ("export A=x", "x"),
        ("A=", ""),
        ("A=x # said so", "x"),
        ("A=x#y", "x#y"),
        ("A='x # ${Y} \\n'", "x # ${Y} \\n"),
        ('A="x # y"', "x # y"),
        (r'A="a\nb\"c\\d"', 'a\nb"c\\d'),
        (r'A="\${Y}"', "${Y}"),
        ("A='two\nlines'", "two\nlines"),
        ('A="two\nlines" # and a remark', "two\nlines"),
        ("A=p$ss", "p$ss"),
        ("A=x=y", "x=y"),
        ("\ufeffA=x\r\n", "x"),
    ],
)
def test_a_value_means_what_its_quotes_say(line: str, value: str) -> None:
    assert values(line) == {"A": value}


def test_remarks_and_empty_lines_are_nothing() -> None:
    assert values("# A=1\n\n  # more\nB=2\n") == {"B": "2"}


def test_lines_are_counted_through_values_of_several_lines() -> None:
    found = parse_dotenv("A='1\n2\n3'\n\nB=x\n")
    assert [(each.name, each.line) for each in found] == [("A", 1), ("B", 5)]


@pytest.mark.parametrize("text", ["A=${B}/x", 'A="${B}"', "A='x", 'A="x', "A='x' y"])
def test_what_would_be_guessed_at_is_a_problem_of_that_variable(text: str) -> None:
    (found,) = parse_dotenv(text)
    assert found.name == "A"
    assert found.problem


def test_a_line_that_is_no_assignment_does_not_take_the_next_one_with_it() -> None:
    broken, good = parse_dotenv("nonsense\nB=2")
    assert (broken.name, broken.line) == ("", 1)
    assert broken.problem
    assert good == Assignment(name="B", value="2", line=2)


@given(st.text())
def test_no_text_whatever_breaks_the_reader(text: str) -> None:
    for found in parse_dotenv(text):
        assert 1 <= found.line <= text.count("\n") + 1
