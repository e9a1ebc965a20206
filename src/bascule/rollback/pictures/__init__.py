"""What a schema looks like after scripts have run on it, without running them."""
