"""Calls that were made, written down as a suite: what was seen, what of it is new each time, the text."""
