"""Where the target is and what opens it: an address with the place its password comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bascule.config.origin import RANK, Origin, Raw
from bascule.config.secret import Secret
from bascule.config.url import DatabaseUrl
from bascule.config.variables import ADDRESS_PARTS
from bascule.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A database's address. Its `repr` and `masked` hold no secret."""

    url: DatabaseUrl
    origin: Origin
    password: Secret | None = None
    """Used where the address itself has none."""

    def reveal(self) -> str:
        """The address with its password, asked afresh. Raises ConfigError when file or command does not answer."""
        if self.password is None or self.url.dialect == "sqlite" or self.url.has_password:
            return self.url.text()
        return self.url.text(password=self.password.reveal())

    @property
    def changes(self) -> bool:
        """Each connection asks for the password again."""
        return self.password is not None and self.password.changes and not self.url.has_password

    @property
    def masked(self) -> str:
        """For people."""
        return self.url.masked()

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be shown, as far as it is known by now."""
        return self.url.secrets + (self.password.known if self.password else ())


def choose_address(
    given: tuple[DatabaseUrl, Origin] | None, parts: Mapping[str, Raw], password: tuple[Secret, Origin] | None
) -> Address | None:
    """One address out of a URL, the parts DATABASE_HOST…, and a password; None where nothing names a database.

    Raises ConfigError when two of them name different databases or different passwords.
    """
    chosen = _url_or_parts(given, parts)
    if chosen is None:
        return None
    url, origin = chosen
    if password is None or url.dialect == "sqlite":
        return Address(url=url, origin=origin)
    secret, where = password
    if not url.has_password:
        return Address(url=url, origin=origin, password=secret)
    if RANK[where.layer] >= RANK[origin.layer] and (secret.changes or secret.reveal() not in url.secrets):
        raise ConfigError(
            f"The address ({origin}) holds a password, and {where} gives another one.",
            hint="Take the password out of the address, or unset the other.",
        )
    return Address(url=url, origin=origin)


def _url_or_parts(
    given: tuple[DatabaseUrl, Origin] | None, parts: Mapping[str, Raw]
) -> tuple[DatabaseUrl, Origin] | None:
    named = {name: parts[name] for name in ADDRESS_PARTS if name in parts}
    if not named:
        return given
    strongest = max(named.values(), key=lambda raw: RANK[raw.origin.layer]).origin
    if given is None:
        return (_from_parts(named), strongest)
    url, origin = given
    if RANK[origin.layer] > RANK[strongest.layer]:
        return given
    complete = "database_host" in named or "database_name" in named
    if origin.layer == "file" and strongest.layer != "file" and complete:
        return (_from_parts(named), strongest)
    wrong = [raw for name, raw in named.items() if not _agrees(url, name, str(raw.value))]
    if wrong:
        others = ", ".join(str(raw.origin) for raw in wrong)
        raise ConfigError(
            f"Two databases are named: {url.masked()} ({origin}), and another one by {others}.",
            code="two_databases",
            hint="Unset one of them.",
        )
    return given


def _from_parts(named: Mapping[str, Raw]) -> DatabaseUrl:
    def part(name: str) -> str:
        return str(named[name].value) if name in named else ""

    host = part("database_host")
    if ":" in host and not host.startswith("["):
        host = f"[{host}]"
    port = part("database_port")
    return DatabaseUrl(
        dialect="postgresql",
        user=part("database_user"),
        host=f"{host}:{port}" if port else host,
        database=part("database_name"),
    )


def _agrees(url: DatabaseUrl, name: str, value: str) -> bool:
    if url.dialect == "sqlite":
        return False
    # Of [::1]:5432 only what follows the bracket may hold the port.
    port = url.host.rpartition("]")[2].partition(":")[2]
    match name:
        case "database_host":
            return url.host == value or url.host.startswith((f"{value}:", f"[{value}]"))
        case "database_port":
            return (port or "5432") == value
        case "database_user":
            return url.user == value
        case _:
            return url.database == value
