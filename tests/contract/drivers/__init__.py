"""One module a driver, each giving `harness()`; tests/contract/test_drivers.py runs the same laws over all."""
