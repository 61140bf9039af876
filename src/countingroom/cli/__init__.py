"""Law: a command is a client of the API, except `up` and `serve`."""
