"""Keys: where they come from, and what is never shown of them."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from bascule.backups.encryption import Encryption, decrypt, encrypt, new_key
from bascule.errors import ConfigError

IDENTITY, RECIPIENT = new_key()


def write(path: Path, text: str, mode: int = 0o600) -> str:
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return str(path)


def test_an_identity_both_writes_and_reads_and_a_recipient_only_writes() -> None:
    both = Encryption.from_text(IDENTITY, origin="here")
    writes = Encryption.from_text(RECIPIENT, origin="here")

    assert both.opens
    assert both.recipients == writes.recipients == (RECIPIENT,)
    assert not writes.opens
    assert both.public() == writes


def test_a_file_as_age_keygen_makes_it_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "key", f"# created: 2026-11-23\n# public key: {RECIPIENT}\n{IDENTITY}\n")

    assert Encryption.from_file(path).identities == (IDENTITY,)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_secret_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = write(tmp_path / "key", IDENTITY, mode)

    with pytest.raises(ConfigError) as refused:
        Encryption.from_file(path)

    assert refused.value.code == "backup_key_exposed"
    assert "chmod 600" in refused.value.hint


def test_a_recipient_is_no_secret_and_may_be_read_by_others(tmp_path: Path) -> None:
    assert Encryption.from_file(write(tmp_path / "key", RECIPIENT, 0o644)).recipients == (RECIPIENT,)


def test_without_settings_there_is_no_encryption() -> None:
    assert Encryption.from_environment({}) is None


def test_variables_are_put_together(tmp_path: Path) -> None:
    other = new_key()[1]
    path = write(tmp_path / "key", IDENTITY)

    found = Encryption.from_environment({"BASCULE_BACKUP_KEY_FILE": path, "BASCULE_BACKUP_RECIPIENT": f"{other}"})

    assert found is not None
    assert set(found.recipients) == {RECIPIENT, other}
    assert found.identities == (IDENTITY,)


def test_key_and_key_file_at_once_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "key", IDENTITY)

    with pytest.raises(ConfigError):
        Encryption.from_environment({"BASCULE_BACKUP_KEY": IDENTITY, "BASCULE_BACKUP_KEY_FILE": path})


@pytest.mark.parametrize(
    "text",
    ["", "# only a comment", "a password", IDENTITY[:-1] + "!", RECIPIENT[:-1]],
    ids=["empty", "comment", "password", "misspelt identity", "short recipient"],
)
def test_what_is_no_key_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(ConfigError) as refused:
        Encryption.from_text(text, origin="BASCULE_BACKUP_KEY")

    shown = f"{refused.value.message} {refused.value.hint} {refused.value.__cause__!r}"
    assert "BASCULE_BACKUP_KEY" in shown
    assert not text or text not in shown


def test_a_key_file_that_is_not_there_or_a_folder_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "nothing", tmp_path):
        with pytest.raises(ConfigError) as refused:
            Encryption.from_file(str(path))
        assert refused.value.code == "backup_key"


def test_a_key_file_that_is_a_pipe_does_not_make_us_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(ConfigError):
        Encryption.from_file(str(tmp_path / "pipe"))


def test_no_secret_is_in_what_is_shown_of_it() -> None:
    assert IDENTITY not in repr(Encryption.from_text(IDENTITY, origin="here"))


def test_each_of_several_recipients_opens_it() -> None:
    other_identity, other = new_key()
    sealed = io.BytesIO()
    encrypt(io.BytesIO(b"rows"), sealed, Encryption(recipients=(RECIPIENT, other)))

    for identity in (IDENTITY, other_identity):
        opened = io.BytesIO()
        decrypt(io.BytesIO(sealed.getvalue()), opened, Encryption(identities=(identity,)), path="a")
        assert opened.getvalue() == b"rows"
