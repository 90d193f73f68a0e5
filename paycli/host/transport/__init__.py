"""A server on the wire: what makes it, its addresses, TLS."""
