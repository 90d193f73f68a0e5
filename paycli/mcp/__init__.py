"""Payments as tools for an agent (Model Context Protocol): what it may do, and who has to agree."""
