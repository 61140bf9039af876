"""What the contract suite of the bus needs to stand on each adapter."""
