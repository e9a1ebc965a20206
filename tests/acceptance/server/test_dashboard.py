"""The dashboard in a real browser, against a real server and PostgreSQL: what a person on call does with it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.acceptance.commandline import BASCULE, Project
from tests.acceptance.server.served import Server, served, token
from tests.acceptance.server.shop import APPLIED, WAITING, grow

USERS, MAIL, SLOW, BAD = "20240101_users", "20240102_mail", "20240103_slow", "20240104_bad"
PATIENCE = 20_000
"""Milliseconds for something to appear."""
SCREENSHOTS = Path(__file__).parents[3] / "docs" / "images"
"""Written anew where SCREENSHOTS is set: `SCREENSHOTS=1 python3 check browser`."""
WIDTH = "document.documentElement.scrollWidth"
Opened = Callable[..., Page]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Debian's, or whatever is called so. Without it the tests fail: nothing is skipped in silence."""
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    assert program, "there is no Chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def empty(tmp_path: Path, bascule_postgres_url: str) -> Project:
    return Project(
        tmp_path,
        DATABASE_URL=bascule_postgres_url,
        BASCULE_SECRET_KEY="a secret of thirty-two bytes, or more",
        BASCULE_AUDIT_DIR=str(tmp_path / "heads"),
        # Backups are another matter; without them each run here is a second shorter.
        MIGRATION_BACKUP_VERIFY="hashes",
    )


@pytest.fixture
def project(empty: Project) -> Project:
    project = empty
    project.write(USERS, "create table users (id int primary key, name text);", "drop table users;")
    project.well("up")
    project.write(MAIL, "alter table users add column mail text;", "alter table users drop column mail;")
    return project


@pytest.fixture
def opened(chromium: Browser, empty: Project) -> Iterator[Opened]:
    """Opens the page of a server and logs in; whatever the page's own scripts complain of fails the test."""
    complaints: list[str] = []
    contexts = []

    def open_page(server: Server, role: str = "admin", *, name: str = "", **options: Any) -> Page:
        context = chromium.new_context(**{"viewport": {"width": 1280, "height": 860}, **options})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"http://{server.host}:{server.port}/")
        page.get_by_label("Token").fill(token(empty, role, *(("--name", name) if name else ())))
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("heading", name="History")).to_be_visible(timeout=PATIENCE)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


@contextmanager
def page_of(project: Project, opened: Opened, role: str = "admin", **options: Any) -> Iterator[Page]:
    with served(project) as server:
        yield opened(server, role, **options)


def row(page: Page, name: str) -> Any:
    return page.get_by_role("row").filter(has_text=name).first


def keep(page: Page, name: str) -> None:
    if os.environ.get("SCREENSHOTS"):
        SCREENSHOTS.mkdir(exist_ok=True)
        page.screenshot(path=SCREENSHOTS / f"{name}.png")


def test_a_stranger_is_asked_for_a_token_which_is_kept_nowhere(chromium: Browser, project: Project) -> None:
    with served(project) as server:
        page = chromium.new_page()
        page.goto(f"http://{server.host}:{server.port}/")
        page.get_by_label("Token").fill("bascule_nonsense")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("missing or no good", timeout=PATIENCE)
        assert page.get_by_text(USERS).count() == 0
        mine = token(project, "viewer")
        page.get_by_label("Token").fill(mine)
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="History")).to_be_visible(timeout=PATIENCE)
        kept = page.evaluate("JSON.stringify([location.href, {...localStorage}, {...sessionStorage}, document.cookie])")
        assert mine not in kept
        assert "bascule_session" not in kept, "no script can read the cookie"
        page.get_by_role("button", name="Log out").click()
        expect(page.get_by_label("Token")).to_be_visible()
        page.close()


def test_one_screen_tells_the_story_of_a_shop(empty: Project, opened: Opened) -> None:
    grow(empty)
    with page_of(empty, opened, viewport={"width": 1320, "height": 1180}) as page:
        drawn = page.get_by_role("group", name="The plan, drawn")
        for order, name in enumerate(WAITING, 1):
            expect(drawn).to_contain_text(f"{order}  …{name[-23:]}" if len(name) > 24 else f"{order}  {name}")
        expect(drawn.locator("path.edge")).to_have_count(2)
        expect(drawn.locator("text.loses")).to_have_count(1)
        bars = page.get_by_role("group", name="Timeline")
        for ended, times in (("completed", len(APPLIED) + 2), ("failed", 1), ("rolled_back", 1)):
            expect(bars.locator(f"rect.{ended}")).to_have_count(times)
        expect(page.get_by_role("region", name="Backups")).to_contain_text("verified")
        keep(page, "dashboard")
        assert serious(page) == []


def test_each_view_says_what_there_is_and_axe_finds_no_serious_issue(project: Project, opened: Opened) -> None:
    project.write(SLOW, "create index on users (name);", "drop index users_name_idx;")
    project.well("backup", "create")
    with page_of(project, opened) as page:
        expect(row(page, USERS)).to_contain_text("completed")
        pending = page.get_by_role("region", name="Pending")
        expect(pending.get_by_role("listitem").filter(has_text=MAIL)).to_contain_text("impact: medium")
        expect(pending.get_by_role("img")).to_be_visible()
        expect(page.get_by_role("region", name="Health")).to_contain_text("database")
        expect(page.get_by_role("region", name="Backups")).to_contain_text(re.compile("verified"))
        expect(page.get_by_role("region", name="Alerts")).to_be_visible()
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            assert serious(page) == [], scheme
        page.set_viewport_size({"width": 390, "height": 844})
        assert page.evaluate(WIDTH) <= 390, "nothing is wider than a phone"
        keep(page, "dashboard-phone")
        assert serious(page) == []


def serious(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [f"{each['id']}: {each['nodes'][0]['html']}" for each in found if each["impact"] in ("serious", "critical")]


def test_a_run_is_watched_live_from_start_to_end(project: Project, opened: Opened) -> None:
    project.write(SLOW, "select pg_sleep(4);", "select 1;")
    with page_of(project, opened) as page:
        page.get_by_role("button", name=f"Execute {SLOW}").click()
        page.get_by_role("dialog").get_by_role("button", name="Execute").click()
        running = page.get_by_role("region", name="Running now")
        expect(running).to_contain_text(SLOW, timeout=PATIENCE)
        expect(running.get_by_role("progressbar")).to_be_visible()
        expect(running).to_contain_text("pg_sleep", timeout=PATIENCE)
        expect(running).not_to_contain_text("Waits for a lock")
        keep(page, "dashboard-running")
        expect(row(page, SLOW)).to_contain_text("completed", timeout=PATIENCE)
        expect(running).to_have_count(0)


def test_what_runs_before_it_is_named_with_what_that_loses(project: Project, opened: Opened) -> None:
    project.write(MAIL, "drop table users;", None)
    project.write(SLOW, "create table other (id int);", "drop table other;")
    with page_of(project, opened) as page:
        page.get_by_role("button", name=f"Execute {SLOW}").click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text(f"Runs too: {MAIL}")
        expect(dialog).to_contain_text("drops table users")
        expect(dialog.get_by_role("button", name="Execute")).to_be_disabled()
        dialog.get_by_label("I have read this").check()
        # What was shown is what runs, or nothing.
        project.write(MAIL, "drop table users; create table evil (id int);", None)
        dialog.get_by_role("button", name="Execute").click()
        expect(dialog.get_by_role("alert")).to_be_visible(timeout=PATIENCE)
        assert project.names() == {USERS}


def test_a_refusal_that_comes_late_is_shown_as_one_that_comes_at_once(project: Project, opened: Opened) -> None:
    hook = project.folder / "migrations" / "hooks" / "before_up.sql"
    hook.parent.mkdir()
    hook.write_text("select pg_sleep(2); select 1 / 0;")
    with page_of(project, opened) as page:
        page.get_by_role("button", name=f"Execute {MAIL}").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_role("button", name="Execute").click()
        expect(dialog.get_by_role("alert")).to_contain_text("before_up", timeout=PATIENCE)
        assert project.names() == {USERS}


def test_a_run_that_waits_for_a_lock_says_who_holds_it(project: Project, opened: Opened) -> None:
    with psycopg.connect(project.environment["DATABASE_URL"]) as other, page_of(project, opened) as page:
        other.execute("select * from users")
        page.get_by_role("button", name=f"Execute {MAIL}").click()
        page.get_by_role("dialog").get_by_role("button", name="Execute").click()
        running = page.get_by_role("region", name="Running now")
        expect(running).to_contain_text("Waits for a lock", timeout=PATIENCE)
        expect(running.get_by_role("alert")).to_contain_text(str(other.info.backend_pid))
        other.rollback()
        expect(row(page, MAIL)).to_contain_text("completed", timeout=PATIENCE)


def test_a_run_of_a_command_line_that_waits_for_a_lock_says_so_too(project: Project, opened: Opened) -> None:
    # The database knows of a wait only while a try lasts; they are short by default.
    (project.folder / "bascule.toml").write_text("[limits]\nlock_timeout = 15\n", encoding="utf-8")
    with psycopg.connect(project.environment["DATABASE_URL"]) as other, page_of(project, opened) as page:
        other.execute("select * from users")
        process = subprocess.Popen(
            [*BASCULE, "up"], cwd=project.folder, env=project.environment, stderr=subprocess.DEVNULL
        )
        try:
            running = page.get_by_role("region", name="Running now")
            expect(running).to_contain_text("Waits for a lock", timeout=PATIENCE)
            expect(running.get_by_role("alert")).to_contain_text(str(other.info.backend_pid))
            running.get_by_role("button", name="Abort").click()
            page.get_by_role("dialog").get_by_role("button", name="Abort").click()
            assert process.wait(30) != 0
            expect(running).to_have_count(0, timeout=PATIENCE)
        finally:
            process.kill()
            process.wait()
        other.rollback()
        expect(page.get_by_role("button", name=f"Execute {MAIL}")).to_be_visible(timeout=PATIENCE)


def test_a_failure_shows_the_error_and_what_to_do(project: Project, opened: Opened) -> None:
    project.write(BAD, "insert into nowhere values (1);", "select 1;")
    with page_of(project, opened) as page:
        page.get_by_role("button", name=f"Execute {BAD}").click()
        page.get_by_role("dialog").get_by_role("button", name="Execute").click()
        failed = page.get_by_role("region", name="Failed")
        # Where it fails within a second the dialog says so too, and stays until it was read.
        expect(failed.or_(page.get_by_role("dialog").get_by_role("alert")).first).to_be_visible(timeout=PATIENCE)
        page.keyboard.press("Escape")
        expect(failed).to_contain_text("nowhere", timeout=PATIENCE)
        expect(failed).to_contain_text("Next:")


def test_a_run_that_was_killed_half_way_is_shown_and_recovered_by_a_button(project: Project, opened: Opened) -> None:
    project.write(
        SLOW,
        "create table t (id int);\nselect pg_sleep(30);\ncreate table u (id int);",
        "drop table u;",
        options=" transaction:false",
    )
    with page_of(project, opened) as page:
        page.get_by_role("button", name=f"Execute {SLOW}").click()
        page.get_by_role("dialog").get_by_role("button", name="Execute").click()
        expect(page.get_by_role("region", name="Running now")).to_contain_text("pg_sleep", timeout=PATIENCE)
        with psycopg.connect(project.environment["DATABASE_URL"]) as connection:
            (owner,) = connection.execute("SELECT owner FROM bascule.lease").fetchone() or ("",)
        os.kill(int(str(owner).rpartition(":")[2]), signal.SIGKILL)
        failed = page.get_by_role("region", name="Failed")
        expect(failed).to_contain_text("interrupted", timeout=PATIENCE)
        expect(failed).to_contain_text("half done")
        expect(failed).to_contain_text("killed")
        expect(row(page, SLOW)).to_contain_text("interrupted", timeout=PATIENCE)
        expect(page.get_by_role("region", name="Alerts")).to_contain_text("broken off", timeout=PATIENCE)
        # Killed before the dialog had heard of its beginning, it is told there too, until that was read.
        page.keyboard.press("Escape")
        assert serious(page) == []
        path = project.folder / "migrations" / f"{SLOW}.sql"
        path.write_text(path.read_text(encoding="utf-8").replace("pg_sleep(30)", "1"), encoding="utf-8")
        failed.get_by_role("button", name=f"Recover {SLOW}").click()
        page.get_by_role("dialog").get_by_role("button", name="Recover").click()
        expect(row(page, SLOW)).to_contain_text("completed", timeout=PATIENCE)
        expect(failed).to_have_count(0, timeout=PATIENCE)


def test_an_alert_is_acknowledged_and_gone(project: Project, opened: Opened) -> None:
    project.write(BAD, "insert into nowhere values (1);", "select 1;")
    project.run("up")
    with page_of(project, opened, "operator") as page:
        alerts = page.get_by_role("region", name="Alerts")
        expect(alerts).to_contain_text("nowhere", timeout=PATIENCE)
        keep(page, "dashboard-alert")
        alerts.get_by_role("button", name="Acknowledge").first.click()
        expect(alerts).to_contain_text("Nothing to acknowledge", timeout=PATIENCE)
    assert project.well("alerts", "--json").json == []


def test_what_a_rollback_loses_is_read_before_it_can_begin(project: Project, opened: Opened) -> None:
    project.well("up")
    project.write(SLOW, "create table later (id int);", "drop table later;")
    with page_of(project, opened) as page:
        page.get_by_role("button", name=f"Roll back {MAIL}").click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("drops column users.mail")
        begin = dialog.get_by_role("button", name="Roll back")
        expect(begin).to_be_disabled()
        keep(page, "dashboard-rollback")
        dialog.get_by_role("checkbox").check()
        begin.click()
        expect(row(page, MAIL)).to_contain_text("rolled back", timeout=PATIENCE)
        expect(page.get_by_role("button", name=f"Execute {MAIL}")).to_be_visible()


def test_a_rollback_on_production_asks_for_its_reason(empty: Project, opened: Opened) -> None:
    empty.environment["MIGRATION_ENVIRONMENT"] = "production"
    (empty.folder / "bascule.toml").write_text("approvals = 1\n", encoding="utf-8")
    empty.write(USERS, "create table users (id int primary key);", "drop table users;")
    empty.well("up", "--yes-production", "the first")
    with page_of(empty, opened) as page:
        page.get_by_role("button", name=f"Roll back {USERS}").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_role("checkbox").check()
        dialog.get_by_role("button", name="Roll back").click()
        expect(dialog.get_by_role("alert")).to_contain_text("needs a reason", timeout=PATIENCE)
        assert empty.names() == {USERS}
        dialog.get_by_label("Reason").fill("agreed with Ann")
        dialog.get_by_role("button", name="Roll back").click()
        expect(page.get_by_role("region", name="Alerts")).to_contain_text("agreed with Ann", timeout=PATIENCE)
    assert empty.names() == set()
    assert "agreed with Ann" in empty.well("audit", "--json").out


def test_a_plan_is_handed_in_approved_by_another_and_run(empty: Project, opened: Opened) -> None:
    empty.environment["MIGRATION_ENVIRONMENT"] = "production"
    (empty.folder / "bascule.toml").write_text("approvals = 1\n", encoding="utf-8")
    empty.write(USERS, "create table users (id int primary key);", "drop table users;")
    empty.well("up", "--yes-production", "the first")
    empty.write(MAIL, "alter table users add column mail text;", "alter table users drop column mail;")
    with served(empty) as server:
        ann, bob = opened(server, name="ann"), opened(server, name="bob")
        before = len(empty.well("audit", "--json").json)
        ann.get_by_role("button", name=f"Execute {MAIL}").click()
        ann.get_by_role("dialog").get_by_role("button", name="Hand in").click()
        mine = ann.get_by_role("region", name="Plans that were handed in")
        expect(mine).to_contain_text("0 of 1 approval", timeout=PATIENCE)
        assert mine.get_by_role("button").count() == 0, "nobody approves what is his own, and nothing runs unapproved"
        theirs = bob.get_by_role("region", name="Plans that were handed in")
        theirs.get_by_role("button", name="Approve").click()
        bob.get_by_role("dialog").get_by_role("button", name="Approve").click()
        expect(theirs).to_contain_text("approved by bob", timeout=PATIENCE)
        mine.get_by_role("button", name="Execute").click()
        ann.get_by_role("dialog").get_by_role("button", name="Execute").click()
        expect(row(ann, MAIL)).to_contain_text("completed", timeout=PATIENCE)
        expect(mine).to_have_count(0, timeout=PATIENCE)
        assert serious(ann) == []
        actions = [each["action"] for each in empty.well("audit", "--json").json[:-before]]
        # What is only shown is no attempt at anything.
        assert sorted({*actions}) == ["audit", "execute", "plan", "plan.approve"]


def test_a_viewer_is_offered_nothing_that_he_may_not_do(project: Project, opened: Opened) -> None:
    with page_of(project, opened, "viewer") as page:
        expect(page.get_by_role("region", name="Pending")).to_contain_text(MAIL)
        for name in ("Execute", "Validate", "Roll back", "Acknowledge", "Verify"):
            assert page.get_by_role("button", name=name).count() == 0, name


def test_it_can_be_used_with_the_keyboard_alone(project: Project, opened: Opened) -> None:
    with page_of(project, opened) as page:
        execute = page.get_by_role("button", name=f"Execute {MAIL}")
        execute.focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("dialog").get_by_role("button", name="Cancel")).to_be_focused()
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)
        expect(execute).to_be_focused()
        # What is drawn anew every two seconds does not take the focus away.
        page.wait_for_timeout(5000)
        expect(execute).to_be_focused()


def test_it_comes_back_by_itself_when_the_server_does(project: Project, opened: Opened) -> None:
    with served(project) as first:
        page = opened(first)
        port = first.port
        first.kill()
        expect(page.get_by_text("does not answer")).to_be_visible(timeout=PATIENCE)
    with served(project, port=port):
        expect(page.get_by_text("live", exact=True)).to_be_visible(timeout=PATIENCE)
        project.well("up")
        expect(row(page, MAIL)).to_contain_text("completed", timeout=PATIENCE)
