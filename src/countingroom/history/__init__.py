"""Law: time series. What was acknowledged on the bus is in the store, once; a hole in time stays visible."""
