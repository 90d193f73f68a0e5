"""Somebody's own servicers: found, checked, and their methods run."""
