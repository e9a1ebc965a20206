"""By which names a server may be asked."""

from __future__ import annotations

import pytest

from bascule.errors import ConfigError
from bascule.server.hosts import is_known, names_in


@pytest.mark.parametrize("text", ["db.example:8443", "https://db.example", "*", "*.example", "a b", "name/"])
def test_what_is_no_name_is_no_setting(text: str) -> None:
    with pytest.raises(ConfigError, match="no name of a host"):
        names_in(f"good.example,{text}")


def test_names_and_addresses_are() -> None:
    assert names_in("Db.Example., 10.0.0.1,[::1],, my_host") == {"db.example", "10.0.0.1", "::1", "my_host"}


@pytest.mark.parametrize("host", ["db.example", "DB.example:8443", "localhost", "127.0.0.1:1", "[::1]:8000"])
def test_a_host_that_is_known(host: str) -> None:
    assert is_known(host, {"db.example"})


@pytest.mark.parametrize("host", ["evil.example", "x@db.example", "db.example/", "db.example#", "", "db.example:x:y"])
def test_a_host_that_is_not(host: str) -> None:
    assert not is_known(host, {"db.example"})
