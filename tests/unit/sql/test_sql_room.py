from __future__ import annotations

import subprocess
import sys

import bascule.sql


def test_importing_the_room_loads_no_parser() -> None:
    program = (
        "import sys, bascule.sql\n"
        "late = ('ctypes', 'json', 'sqlite3', 'hashlib', 'difflib', 'postgast', 'bascule.sql.grammar')\n"
        "print([name for name in late if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"


def test_inspecting_loads_the_library_but_not_its_package() -> None:
    program = (
        "import sys\nfrom bascule.sql import inspect, split\n"
        "print(inspect(split('drop table t', 'postgresql')[0], 'postgresql').kind, 'postgast' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout == "DROP TABLE False\n"


def test_public_names() -> None:
    assert sorted(bascule.sql.__all__) == [
        "Block",
        "OwnTransactions",
        "SEMANTIC_VERSION",
        "SqlSyntaxProblem",
        "exact_hash",
        "inspect",
        "meaning_diff",
        "own_transactions",
        "script_touch",
        "semantic_hash",
        "split",
    ]
    assert all(hasattr(bascule.sql, name) for name in bascule.sql.__all__)
