"""Tests of the stores: one contract for both session stores, then what each has of its own."""
