"""What we talk about: frozen values, standard library only."""
