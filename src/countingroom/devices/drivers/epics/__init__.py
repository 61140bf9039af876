"""Law: anything that speaks Channel Access, described by a table of process variables alone."""
