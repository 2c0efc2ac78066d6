"""Tests of the input sources."""
