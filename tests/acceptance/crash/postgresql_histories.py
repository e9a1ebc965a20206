from tests.acceptance.crash.histories import History

HISTORIES: tuple[History, ...] = ()
