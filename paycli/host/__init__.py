"""How any servicer is offered: bind, say ready, serve, drain. Knows no payments."""
