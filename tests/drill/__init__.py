"""The fault drill: plays faults against a running experiment and reports what they did to it."""
