"""Law: the words everybody uses. Values and pure rules; no I/O; imports nothing else of ours."""
