"""Aimed changes of lines that matter, each of which some test must notice: `nox -s mutants`."""
