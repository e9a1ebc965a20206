"""One reader per folder format, and `detect`, which finds out which one a folder needs.

Nothing here writes into a migrations folder or runs what is in it.
"""
