from __future__ import annotations

import json

import pytest

from bascule.cli.output import Output


def test_in_json_mode_only_the_document_goes_to_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output(json=True)
    output.text("for people")
    output.note("beside")
    output.document({"ä": 1})
    streams = capsys.readouterr()
    assert json.loads(streams.out) == {"ä": 1}
    assert streams.err == "beside\n"


def test_quiet_silences_notes_first_and_warnings_second(capsys: pytest.CaptureFixture[str]) -> None:
    for quiet in (0, 1, 2):
        output = Output(quiet=quiet)
        output.note("note")
        output.warn("warning")
        output.insist("error")
    shown = capsys.readouterr().err.splitlines()
    assert shown == ["note", "Warning: warning", "error", "Warning: warning", "error", "error"]


def test_whatever_goes_to_stderr_or_json_is_cleaned(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output(json=True, clean=lambda text: text.replace("hunter2", "***"))
    output.insist("hunter2")
    output.document({"message": "hunter2"})
    streams = capsys.readouterr()
    assert "hunter2" not in streams.out + streams.err


def test_lines_go_through_whoever_draws(capsys: pytest.CaptureFixture[str]) -> None:
    taken: list[str] = []
    output = Output()
    with output.through(taken.append):
        output.note("one")
        output.straight("two")
    output.note("three")
    assert taken == ["one"]
    assert capsys.readouterr().err == "two\nthree\n"


def test_a_secret_that_json_writes_otherwise_or_uses_itself_leaves_a_document_whole(
    capsys: pytest.CaptureFixture[str],
) -> None:
    output = Output(json=True, clean=lambda text: text.replace('it"s', "***").replace("true", "***"))
    output.document({"message": 'it"s true', "success": True})
    assert json.loads(capsys.readouterr().out) == {"message": "*** ***", "success": True}


def test_of_a_long_list_each_entry_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    document = {"success": True, "data": [{"n": n, "words": f"ä\n{n}"} for n in range(30)], "details": {"a": [1, 2]}}
    Output(json=True).document(document)
    printed = capsys.readouterr().out
    assert json.loads(printed) == document
    assert sum(line.startswith('    {"n": ') for line in printed.splitlines()) == 30
