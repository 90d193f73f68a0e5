"""How a service is called."""
