"""The fleet: the services that are wanted on nodes. Values that its department, the console and the CLI share. Pure."""
