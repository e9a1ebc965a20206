"""One invocation of the command line: its global options, its settings, its output."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bascule.cli.output import Output

if TYPE_CHECKING:
    from bascule.config.settings import Settings


@dataclass(slots=True, kw_only=True)
class Call:
    """Filled while the command line is read; global options may stand before or after the verb."""

    output: Output
    flags: dict[str, tuple[str, Any]] = field(default_factory=dict)
    """Settings given as options: name → (the option as typed, value)."""
    target: str | None = None
    config: str | None = None
    yes: bool = False
    verbose: int = 0
    _settings: Settings | None = None

    @property
    def settings(self) -> Settings:
        """Loaded when first asked for. Raises ConfigError."""
        if self._settings is None:
            from bascule.config.load import load

            self._settings = load(self.flags, config=self.config, target=self.target)
            self.output.clean = self._settings.clean
            for warning in self._settings.warnings:
                self.output.warn(warning)
            self._set_up_log(self._settings)
        return self._settings

    def _set_up_log(self, settings: Settings) -> None:
        """Log lines go to stderr. Without -v or LOG_LEVEL nothing is set up: warnings and worse appear there anyway."""
        if not (self.verbose or settings.log_level_named):
            return
        self._log_at("debug" if self.verbose > 1 else "info" if self.verbose else settings.log_level, settings)

    def log_requests(self) -> None:
        """For a server: who asked for what is in its log by default. LOG_LEVEL decides where it is named."""
        settings = self.settings
        if self.verbose or settings.log_level_named:
            return
        import logging

        self._log_at("warning", settings)
        logging.getLogger("bascule.server").setLevel(logging.INFO)

    def _log_at(self, level: str, settings: Settings) -> None:
        import logging

        logger = logging.getLogger("bascule")
        logger.setLevel(level.upper())
        handler = logging.StreamHandler()
        if settings.log_format == "json":
            from bascule.monitoring.log_lines import JsonLines

            handler.setFormatter(JsonLines(self.output.clean))
        else:
            handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        handler.addFilter(self._without_secrets)
        logger.addHandler(handler)

    def _without_secrets(self, record: Any) -> bool:
        record.msg, record.args = self.output.clean(record.getMessage()), ()
        return True
