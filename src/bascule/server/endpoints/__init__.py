"""The endpoints, a file a group. Each file has `add(router, controller)`."""
