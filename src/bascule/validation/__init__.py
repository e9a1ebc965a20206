"""Whether the data is what it should be: rules about the rows there are, and what pending migrations need of them."""
