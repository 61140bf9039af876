"""Law: simulators speak the real protocol of their device and know nothing of the drivers that read them."""
