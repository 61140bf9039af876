"""Law: the `devices` section: a device name to the section of its driver. No driver is imported to read it."""
