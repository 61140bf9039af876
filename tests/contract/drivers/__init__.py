"""One module for each driver, each with `harness()`; tests/contract/test_drivers.py runs the same tests over all."""
