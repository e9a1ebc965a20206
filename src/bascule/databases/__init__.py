"""One room per database, each behind the same port, and the operations that Python migrations speak."""
