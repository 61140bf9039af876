"""The control room of a scientific experiment as one system."""

__version__ = "0.1.0"
