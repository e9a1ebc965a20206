"""Random requests find no server error and no answer that its own description denies; more by
``python -m tests.acceptance.server.fuzz``.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acceptance.server.fuzz import fuzzed, project_in


@pytest.mark.parametrize("role", ["viewer", "super_admin"])
def test_nothing_is_found(role: str, tmp_path: Path) -> None:
    code, told = fuzzed(project_in(tmp_path), role, examples=3)
    assert code == 0, told
    assert "generated" in told
