"""Law: what the contract suite of the storage stands on."""
