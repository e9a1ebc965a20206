"""Pure: what a rollback reached, told from two looks at the schema."""
