"""Results: runs calibration programs, keeps what they find, and takes results from elsewhere. The console hosts it."""
