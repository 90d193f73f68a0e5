"""Whether all of this finds what it needs: checks, and their harmless repairs."""
