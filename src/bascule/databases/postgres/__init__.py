"""PostgreSQL: the target itself, and the catalog's look at a schema."""
