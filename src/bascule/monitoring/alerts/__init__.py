"""From facts and health to alerts, and from alerts to people.

`rules` and `deciding` are functions from values to values; `watching` reads the journal and keeps what was decided,
`sending` hands over what is owed.
"""
