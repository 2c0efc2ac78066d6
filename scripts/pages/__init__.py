"""The documents that the code determines, a module for each kind."""
