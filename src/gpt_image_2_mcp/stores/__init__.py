"""Backends: picture files, and edit sessions in memory or SQLite."""
