"""The proof by crash: a server is killed under load, again and again, and must have kept its word."""
