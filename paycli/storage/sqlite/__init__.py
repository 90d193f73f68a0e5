"""Payments in one SQLite file, written by a process of its own."""
