"""The two doors: each contract's messages to commands and queries, and outcomes back to messages."""
