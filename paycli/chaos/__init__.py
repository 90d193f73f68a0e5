"""The proxy and what passes it; faults on demand, for those who test clients: what a chaos file says, and what does it."""
