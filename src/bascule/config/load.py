"""Asks everything that can set a value, weakest first: defaults, file, `.env`, environment, flags."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bascule.config.address import Address, choose_address
from bascule.config.files import ConfigFile, find_file
from bascule.config.nearest import nearest
from bascule.config.origin import RANK, Layer, Origin, Raw
from bascule.config.secret import Secret
from bascule.config.settings import Settings, Shown
from bascule.config.url import HIDDEN, DatabaseUrl, parse_url
from bascule.config.values import read_value, spelled
from bascule.config.variables import ADDRESS_PARTS, BY_NAME, BY_VARIABLE, ENTRIES, PREFIXES, TEST_PREFIX
from bascule.errors import ConfigError

DEFAULT_DATABASE = "bascule.db"
DOTENV = ".env"

_LIBPQ_VARIABLES = ("PGHOST", "PGHOSTADDR", "PGDATABASE", "PGSERVICE")
_DEFAULT = Origin(layer="default")
# Where a target was chosen by name, a variable that says otherwise about these would send the run elsewhere.
_ADDRESS = ("database_url", *ADDRESS_PARTS)
_OF_THE_PLACE = (*_ADDRESS, "direct_url", "state_url", "migrations_dir", "environment")
# Stands for a common setting that does not hold for a target with an address of its own.
_NOTHING = Raw(value=None, origin=_DEFAULT)


def load(
    flags: Mapping[str, tuple[str, Any]] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    folder: str | os.PathLike[str] = ".",
    config: str | None = None,
    target: str | None = None,
    files: bool = True,
) -> Settings:
    """The settings of a command run in `folder`.

    `flags`: name of a setting → (the flag as typed, its value). `target`: the one named by ``--target``. `files` False:
    neither configuration file nor ``.env`` is looked at.
    Raises ConfigError, naming setting, place and allowed values. A missing database is no error here: see
    `Settings.missing`.
    """
    work = Path(folder).absolute()
    surroundings = os.environ if environ is None else environ
    file = find_file(work, config) if files else ConfigFile()
    chosen, table = _choose_target(file, target)
    variables, warnings = _from_variables(work if files else None, surroundings)
    given = {
        name: Raw(value=value, origin=Origin(layer="flag", name=flag)) for name, (flag, value) in (flags or {}).items()
    }
    if target is not None:
        _refuse_contradiction(target, table, variables | given)
    merged = {**file.common, **_merged(file.common, table), **variables, **given}
    raws = {name: raw for name, raw in merged.items() if raw is not _NOTHING}
    base = file.path.parent if file.path else work
    _refuse_unknown(given)
    values = {name: read_value(BY_NAME[name], raw, folder=_folder(raw, base, work)) for name, raw in raws.items()}
    return _Assembly(work=work, base=base, file=file, raws=raws, values=values, surroundings=surroundings).settings(
        target=chosen, warnings=warnings
    )


def _refuse_unknown(given: Mapping[str, Raw]) -> None:
    for name in given:
        if name not in BY_NAME:
            guess = nearest(name, BY_NAME)
            raise ConfigError(
                f"There is no setting {name!r}.",
                hint=f"Did you mean {guess}?" if guess else f"Settings: {', '.join(BY_NAME)}.",
            )


def _choose_target(file: ConfigFile, named: str | None) -> tuple[str | None, Mapping[str, Raw]]:
    default = file.common.get("default_target")
    name = named if named is not None else str(default.value) if default else None
    if name is None:
        return None, {}
    if name not in file.targets:
        guess = nearest(name, file.targets)
        known = f"Targets: {', '.join(file.targets)}." if file.targets else "No configuration file names any target."
        place = "--target" if named is not None else str(default.origin if default else "")
        raise ConfigError(
            f"There is no target named {name!r} ({place}).", hint=f"Did you mean {guess}? {known}" if guess else known
        )
    return name, file.targets[name]


def _merged(common: Mapping[str, Raw], table: Mapping[str, Raw]) -> dict[str, Raw]:
    """The target's own settings; its variables are added to the common ones."""
    own = dict(table)
    if _names_address(table):
        own |= {name: _NOTHING for name in (*_ADDRESS, "direct_url") if name not in table}
    if "variables" in own and "variables" in common:
        ours, theirs = own["variables"].value, common["variables"].value
        if isinstance(ours, dict) and isinstance(theirs, dict):
            own["variables"] = Raw(value=theirs | ours, origin=own["variables"].origin)
    return own


def _names_address(table: Mapping[str, Raw]) -> bool:
    return any(name in table for name in _ADDRESS)


def _from_variables(folder: Path | None, surroundings: Mapping[str, str]) -> tuple[dict[str, Raw], list[str]]:
    found: dict[str, Raw] = {}
    warnings: list[str] = []
    for name, value, origin in _dotenv(folder, warnings) if folder is not None else ():
        _take(name, value, origin, found, warnings)
    for name, value in surroundings.items():
        if name in BY_VARIABLE or name.startswith(PREFIXES):
            _take(name, value, Origin(layer="environment", name=name), found, warnings)
    return found, warnings


def _take(name: str, value: str, origin: Origin, found: dict[str, Raw], warnings: list[str]) -> None:
    entry = BY_VARIABLE.get(name)
    if entry is not None:
        # An empty variable is what an orchestrator makes of one that is missing: it counts as not set. A key of nothing
        # but blanks somebody has set: it is refused.
        if value.strip() or (value and entry.kind == "secret" and entry.minimum > 1):
            found[entry.name] = Raw(value=value, origin=origin)
    elif name.startswith(PREFIXES) and not name.startswith(TEST_PREFIX):
        guess = nearest(name, BY_VARIABLE)
        warnings.append(f"{origin} is not a setting of Bascule" + (f"; did you mean {guess}?" if guess else "."))


def _dotenv(folder: Path, warnings: list[str]) -> Iterable[tuple[str, str, Origin]]:
    path = folder / DOTENV
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return
    except OSError as exc:
        raise ConfigError(
            f"The file {path} cannot be read: {exc.strerror}.", hint="Make it readable or remove it."
        ) from exc
    except UnicodeDecodeError as exc:
        raise ConfigError(f"The file {path} is not UTF-8 text.") from exc
    from bascule.config.dotenv import parse_dotenv

    for assignment in parse_dotenv(text):
        origin = Origin(layer="dotenv", name=assignment.name or "a line", path=str(path), line=assignment.line)
        if assignment.problem and assignment.name in BY_VARIABLE:
            raise ConfigError(f"{origin}: {assignment.problem}.", hint="Correct that line.")
        if not assignment.name:
            warnings.append(f"{path}:{assignment.line} was passed over: {assignment.problem}.")
            continue
        yield assignment.name, assignment.value, origin


def _folder(raw: Raw, base: Path, work: Path) -> Path:
    """Paths in the configuration file count from that file, all others from the working folder."""
    return base if raw.origin.layer == "file" else work


def _refuse_contradiction(target: str, table: Mapping[str, Raw], others: Mapping[str, Raw]) -> None:
    own_address = _names_address(table)
    for name in _OF_THE_PLACE:
        other = others.get(name)
        if other is None or other.origin.layer == "file":
            continue
        about_address = name in _ADDRESS
        clash = own_address if about_address else name in table
        if clash and (name not in table or table[name].value != other.value):
            raise ConfigError(
                f"--target {target} and {other.origin} disagree about {name}.",
                code="two_databases" if about_address else "config",
                hint=f"Unset {other.origin.name}, or leave --target out.",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Assembly:
    """Makes one object of the values that were found."""

    work: Path
    base: Path
    file: ConfigFile
    raws: Mapping[str, Raw]
    values: Mapping[str, Any]
    surroundings: Mapping[str, str]

    def settings(self, *, target: str | None, warnings: list[str]) -> Settings:
        password = self._password()
        address = choose_address(self._url("database_url"), self._parts(), password)
        missing = ""
        if address is None:
            address, missing = self._default_address()
        direct, state = self._direct(address, warnings), self._url("state_url")
        return Settings(
            folder=self.work,
            config_file=self.file.path,
            target=target,
            address=address,
            missing=missing,
            direct=choose_address(direct, {}, password if direct and not direct[0].has_password else None),
            state=choose_address(state, {}, None),
            migrations_dir=self._value("migrations_dir", self.base / "migrations"),
            format=self._value("format"),
            environment=self._value("environment"),
            environment_named="environment" in self.values,
            schema=self._value("schema"),
            search_path=self._value("search_path"),
            variables=self._value("variables", {}),
            hidden_variables=self._hidden_variables(),
            late=self._value("late"),
            lock_wait=self._value("lock_wait"),
            on_failure=self._value("run.on_failure"),
            limits=self._group("limits."),
            fingerprint_ignore=self._value("fingerprint.ignore", ()),
            backup_dir=self._value("backup_dir", self.base / "database-backups"),
            backup={name: value for name, value in self._group("backup.").items() if name != "key"},
            backup_key=self._key("backup.key"),
            metrics_dir=self._value("metrics_dir", self.base / "migration-metrics"),
            metrics_dir_named="metrics_dir" in self.values,
            alerts_dir=self._value("alerts_dir", self.base / "migration-alerts"),
            alerts_dir_named="alerts_dir" in self.values,
            alerts={name: value for name, value in self._group("alerts.").items() if not name.startswith("send_to")},
            alert_urls=self._key("alerts.send_to"),
            webhooks=self._value("webhooks", ()),
            webhook_secret=self._key("webhook_secret"),
            retention=self._value("monitoring.retention"),
            preimage_retention=self._value("preimage_retention"),
            plan_lifetime=self._value("plan_lifetime"),
            approvals=self._value("approvals"),
            validation_enabled=self._value("validation.enabled"),
            validation_strict=self._value("validation.strict"),
            validation=self._group("validation."),
            health=self._group("health."),
            monitoring_enabled=self._value("monitoring.enabled"),
            otel=self._value("otel"),
            health_check_interval=self._value("monitoring.health_check_interval"),
            cleanup_interval=self._value("monitoring.cleanup_interval"),
            server=self._group("server."),
            log_level=self._value("log_level"),
            log_level_named="log_level" in self.values,
            log_format=self._value("log_format"),
            secret_key=self._key("secret_key"),
            audit_key=self._key("audit_key"),
            audit_dir=self._value("audit_dir"),
            jwt={name: str(value) for name, value in self._group("jwt.").items() if value is not None},
            warnings=tuple(warnings),
            shown=self._shown(address),
        )

    def _value(self, name: str, default: Any = None) -> Any:
        return self.values.get(name, BY_NAME[name].default if default is None else default)

    def _group(self, prefix: str) -> dict[str, Any]:
        names = [entry.name for entry in ENTRIES if entry.name.startswith(prefix)]
        return {name.removeprefix(prefix): self._value(name) for name in names}

    def _parts(self) -> dict[str, Raw]:
        return {name: self.raws[name] for name in ADDRESS_PARTS if name in self.raws}

    def _url(self, name: str) -> tuple[DatabaseUrl, Origin] | None:
        if name not in self.values:
            return None
        origin = self.raws[name].origin
        try:
            url = parse_url(str(self.values[name]).strip(), folder=_folder(self.raws[name], self.base, self.work))
        except ConfigError as exc:
            raise ConfigError(
                f"Setting {name} ({origin}) is wrong: {exc.message}.",
                hint=exc.hint,
                details={"setting": name, "origin": str(origin)},
            ) from None
        if name != "database_url" and url.dialect != "postgresql":
            raise ConfigError(
                f"Setting {name} ({origin}) must be a PostgreSQL address.", hint="It begins with postgresql://."
            )
        return url, origin

    def _direct(self, address: Address | None, warnings: list[str]) -> tuple[DatabaseUrl, Origin] | None:
        """The way past the pooler, unless it belongs to an address that something stronger replaced."""
        found = self._url("direct_url")
        if found is None or address is None:
            return found
        outer = {"dotenv": "environment"}
        ours, its = (outer.get(layer, layer) for layer in (found[1].layer, address.origin.layer))
        if address.url.dialect == "postgresql" and (ours == its or RANK[found[1].layer] > RANK[address.origin.layer]):
            return found
        warnings.append(f"{found[1]} is left aside, because {address.origin} names another database.")
        return None

    def _hidden_variables(self) -> Mapping[str, str]:
        variables = self._value("variables", {})
        if not variables:
            return {}
        from bascule.config.concealment import hidden

        return hidden(variables, self._value("secret_variables", ()))

    def _password(self) -> tuple[Secret, Origin] | None:
        names = [name for name in ("database_password", "password_file", "password_command") if name in self.raws]
        if not names:
            return None
        names.sort(key=lambda name: RANK[self.raws[name].origin.layer])
        best = names[-1]
        origin = self.raws[best].origin
        rivals = [name for name in names[:-1] if self.raws[name].origin.layer == origin.layer]
        if rivals:
            raise ConfigError(
                f"The password is given twice: {origin}, and {self.raws[rivals[0]].origin}.", hint="Unset one of them."
            )
        setting, value = origin.name, self.values[best]
        if best == "password_file":
            return Secret(setting=setting, file=value), origin
        if best == "password_command":
            return Secret(setting=setting, command=value), origin
        return Secret(setting=setting, text=value), origin

    def _key(self, name: str) -> Secret | None:
        text, file = self.raws.get(name), self.raws.get(f"{name}_file")
        if text and file:
            raise ConfigError(f"The key is given twice: {text.origin}, and {file.origin}.", hint="Unset one of them.")
        if file:
            return Secret(setting=file.origin.name, file=self.values[f"{name}_file"])
        return Secret(setting=text.origin.name, text=self.values[name]) if text else None

    def _default_address(self) -> tuple[Address | None, str]:
        """What is meant when no setting names a database: libpq's variables, or the file of a development folder."""
        libpq = [name for name in _LIBPQ_VARIABLES if self.surroundings.get(name)]
        local = self._local_file()
        if libpq and local:
            raise ConfigError(
                f"Two databases are possible: the one of {libpq[0]}, and the file {local[0]} ({local[1]}).",
                code="two_databases",
                hint="Name one by DATABASE_URL or --database-url; postgresql:// means the one of libpq's variables.",
            )
        if libpq:
            origin = Origin(layer="environment", name=libpq[0])
            return choose_address((DatabaseUrl(dialect="postgresql"), origin), {}, self._password()), ""
        if local is None:
            return None, self._missing()
        path, origin = local
        if self._value("environment") != "development":
            return None, (
                f"No database is named. In {self._value('environment')} the file {path} is used only if it is named, "
                "so that a lost DATABASE_URL cannot end in success on an empty file."
            )
        if any(self.surroundings.get(name) == "" for name in ("DATABASE_URL", "DATABASE_HOST", "DATABASE_NAME")):
            return None, "DATABASE_URL (or one of its parts) is set, but empty."
        return Address(url=DatabaseUrl(dialect="sqlite", database=str(path)), origin=origin), ""

    def _local_file(self) -> tuple[Path, Origin] | None:
        if "default_database" in self.values:
            return self.values["default_database"], self.raws["default_database"].origin
        path = self.work / DEFAULT_DATABASE
        return (path, Origin(layer="default", name=DEFAULT_DATABASE)) if path.is_file() else None

    def _missing(self) -> str:
        if self.file.targets:
            return f"No database is named. Choose a target with --target: {', '.join(self.file.targets)}."
        return "No database is named."

    def _shown(self, address: Address | None) -> tuple[Shown, ...]:
        shown = []
        for entry in ENTRIES:
            raw = self.raws.get(entry.name)
            if raw is None:
                layer: Layer = "default"
                shown.append(
                    Shown(entry=entry, value=_plain(entry.kind, self._value(entry.name)), origin=Origin(layer=layer))
                )
                continue
            shown.append(Shown(entry=entry, value=self._for_people(entry.name), origin=raw.origin))
        if address is not None and "database_url" not in self.raws:
            entry = BY_NAME["database_url"]
            shown = [
                Shown(entry=entry, value=address.masked, origin=address.origin),
                *(s for s in shown if s.entry != entry),
            ]
        return tuple(shown)

    def _for_people(self, name: str) -> str:
        entry, value = BY_NAME[name], self.values[name]
        if entry.kind == "url":
            parsed = self._url(name)
            return parsed[0].masked() if parsed else ""
        if entry.kind == "command":
            # Its arguments may be credentials themselves.
            return f"{str(value).split()[0]} …"
        return _plain(entry.kind, value)


def _plain(kind: str, value: object) -> str:
    if value is None:
        return ""
    if kind == "secret":
        return HIDDEN
    if kind in ("seconds", "milliseconds", "days") and isinstance(value, float):
        return spelled(value)
    if isinstance(value, dict):
        # Some variables of migrations are passwords.
        return ", ".join(f"{name}={HIDDEN}" for name in value)
    if kind == "rules" and isinstance(value, tuple):
        return f"{len(value)} declared"
    if isinstance(value, tuple):
        return ", ".join(value)
    return str(value).lower() if isinstance(value, bool) else str(value)
