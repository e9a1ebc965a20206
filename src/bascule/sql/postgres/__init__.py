"""What PostgreSQL statements are and touch, read from the tree that PostgreSQL's own grammar makes of them."""
