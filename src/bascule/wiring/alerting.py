"""Alerts: the project's policy, who makes them, who sends them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bascule.errors import ConfigError

if TYPE_CHECKING:
    from bascule.config.settings import Settings
    from bascule.domain.health import Health
    from bascule.monitoring.alerts.policy import AlertPolicy
    from bascule.monitoring.alerts.sending import Hand, Outbox
    from bascule.monitoring.alerts.watching import Looked, Watch
    from bascule.ports.state import StateDoor
    from bascule.services.context import Context


def alert_policy(settings: Settings) -> AlertPolicy:
    """What the project has decided about its alerts. Raises ConfigError."""
    from bascule.monitoring.alerts.declared import policy_of

    return policy_of(
        settings.alerts,
        webhooks=settings.webhooks,
        send_to=settings.alert_urls.reveal() if settings.alert_urls is not None else None,
        secret=settings.webhook_secret.reveal() if settings.webhook_secret is not None else None,
    )


def watch(settings: Settings, context: Context, policy: AlertPolicy) -> Watch:
    """Who makes alerts of what the journal and health tell."""
    import secrets

    from bascule.monitoring.alerts.watching import Watch

    return Watch(
        policy=policy,
        now=context.clock.now,
        new_id=lambda: secrets.token_hex(6),
        clean=settings.clean,
        about=_place(settings, context),
    )


def _place(settings: Settings, context: Context) -> dict[str, str]:
    about = {"environment": settings.environment, "database": context.target.describe().database}
    return about | ({"name": settings.target} if settings.target else {})


def outbox(settings: Settings, policy: AlertPolicy) -> Outbox:
    """Who sends messages about alerts, and events to webhooks."""
    from bascule.monitoring.alerts.sending import Outbox
    from bascule.monitoring.clock import SystemClock

    return Outbox(policy=policy, hands=alert_hands(policy), now=SystemClock().now, clean=settings.clean)


def alert_hands(policy: AlertPolicy) -> dict[str, Hand]:
    """Who takes messages to channels, by their kind. Only what there are channels for is loaded."""
    hands: dict[str, Hand] = {}
    kinds = {each.kind for each in policy.channels}
    if "webhook" in kinds:
        from bascule import __version__
        from bascule.monitoring.alerts.webhook import webhook

        hands["webhook"] = webhook(policy.secret or "", __version__)
    if "apprise" in kinds:
        from bascule.monitoring.alerts.by_apprise import by_apprise

        hands["apprise"] = by_apprise
    return hands


def keep_watch(settings: Settings, context: Context, *, seconds: float = 2.0) -> None:
    """After something was done: make the alerts it calls for, and send what is owed, for so many seconds in all (0:
    somebody else sends it). What is not taken by then is kept, and sent later. Never raises: what was done is done.
    """
    if not settings.monitoring_enabled:
        return
    try:
        _keep_watch(settings, context, seconds)
    except Exception as problem:  # noqa: BLE001 - watching fails no run, whatever is wrong with it
        from bascule.errors import BasculeError

        if isinstance(problem, ConfigError):
            context.say(f"No alerts are made: {problem.message} {problem.hint}")
            return
        import logging

        words = problem.message if isinstance(problem, BasculeError) else f"{type(problem).__name__}: {problem}"
        logging.getLogger("bascule.alerts").warning("Alerts were not looked after: %s", settings.clean(words))


def _keep_watch(settings: Settings, context: Context, seconds: float) -> None:
    from contextlib import closing

    from bascule.services.alerts_due import anything_new

    told = bool(settings.webhooks or settings.alert_urls)
    if not told:
        with closing(context.target.state(beside=False)) as door:
            if not anything_new(context, door):
                # Somebody may have been killed after the alerts were kept and before their files were.
                keep_alert_files(settings, door)
                return
    policy = alert_policy(settings)
    with closing(context.target.state(beside=False)) as door:
        look_for_alerts(settings, context, door, policy)
        if told and seconds > 0:
            outbox(settings, policy).send(door, seconds=seconds)


def look_for_alerts(
    settings: Settings, context: Context, door: StateDoor, policy: AlertPolicy, *, health: Health | None = None
) -> Looked:
    """Make the alerts that are called for, as rows, as files where their folder was named, and as events. Raises as the
    state store does.
    """
    looked = watch(settings, context, policy).look(context.target, door, health=health)
    keep_alert_files(settings, door)
    for alert in looked.created:
        from bascule.domain.event import Event

        context.publish(
            Event(
                name="migration.alert_created",
                run_id=alert.run_id,
                migration=alert.migration,
                at=alert.last_at,
                data=alert.as_dict(),
            )
        )
    return looked


def keep_alert_files(settings: Settings, door: StateDoor) -> None:
    """Bring the folder of the alerts up to date, where it was named. What cannot be written is told to the log."""
    if not settings.alerts_dir_named:
        return
    from bascule.monitoring.alerts.folder import keep_folder

    try:
        keep_folder(settings.alerts_dir, door, settings.clean)
    except OSError as problem:
        import logging

        logging.getLogger("bascule.alerts").warning(
            "The alerts could not be written to %s: %s", settings.alerts_dir, problem.strerror
        )


def try_channels(settings: Settings, context: Context) -> dict[str, str | None]:
    """Channel → None where it took a message that says it is a trial, else why it did not. Raises ConfigError."""
    import json
    import secrets

    from bascule.domain.alert import Alert
    from bascule.monitoring.alerts.deciding import CREATED
    from bascule.monitoring.alerts.sending import NotTaken, hand_over
    from bascule.state.deliveries import Delivery

    policy, now = alert_policy(settings), context.clock.now()
    trial = Alert(
        id=f"test{secrets.token_hex(4)}",
        fingerprint="",
        rule="test",
        type="info",
        title="A trial",
        message="This message was sent by `bascule alerts test`. Nothing has happened.",
        first_at=now,
        last_at=now,
    )
    told = {
        "type": CREATED,
        "timestamp": now.isoformat(),
        "target": _place(settings, context),
        "data": trial.as_dict(),
    }
    hands, found = alert_hands(policy), dict[str, str | None]()
    for channel in policy.channels:
        its_id = f"msg_{secrets.token_hex(16)}"
        message = Delivery(id=its_id, channel=channel.name, about=trial.id, event=CREATED, body=json.dumps(told))
        try:
            hand_over(hands[channel.kind], channel, message)
            found[channel.name] = None
        except NotTaken as problem:
            found[channel.name] = settings.clean(problem.why)
    return found
