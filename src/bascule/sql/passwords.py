"""Passwords that stand in a statement: what is quoted from it for people has none."""

from __future__ import annotations

import re

_PASSWORD = re.compile(
    r"""(\b(?:password|passwd|passphrase|passcode|secret)\w*["']?\s*(?:=>?|,|:=|to\b)?\s*)"""
    r"""(?:[eEnN]?'(?:[^']|'')*(?:'|\Z)|(\$\w*\$).*?(?:\2|\Z)|"(?:[^"]|"")*")""",
    re.IGNORECASE | re.DOTALL,
)


def without_passwords(text: str) -> str:
    """The text with every literal behind a word such as PASSWORD taken out, one that is cut off too."""
    return _PASSWORD.sub(r"\1'***'", text) if "pass" in text.lower() or "secret" in text.lower() else text
