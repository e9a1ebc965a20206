"""What outlives a process and is no fact of a run: alerts, tokens, the audit log, plans, performance records.

A file a table. Each is SQL that PostgreSQL and SQLite both read, over the door of `bascule.ports.state`; times are
texts in UTC (`moment`), so that they sort as they read.
"""
