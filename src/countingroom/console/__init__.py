"""Law: the console knows no department: it meets them on the bus, in the words of core."""
