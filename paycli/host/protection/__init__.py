"""Who may call what, and how much at once: tokens, scopes, admission, connections."""
