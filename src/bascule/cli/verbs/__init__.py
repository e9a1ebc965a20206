"""One file per verb; each has a click command named `command`. A file is imported only when its verb is used."""
