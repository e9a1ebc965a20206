"""How the world is told what happens: the bus, and the clock it is told by."""
