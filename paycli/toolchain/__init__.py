"""Protos to code, and what is wrong with protos."""
