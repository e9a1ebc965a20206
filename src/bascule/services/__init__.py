"""One file per verb a person would type. Services know only ports; what they are given is a `Context`."""
