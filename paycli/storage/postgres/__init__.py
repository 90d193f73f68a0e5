"""Payments in a PostgreSQL database, written by any number of servers."""
