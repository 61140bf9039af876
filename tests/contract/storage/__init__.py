"""What the contract suite of the storage stands on."""
