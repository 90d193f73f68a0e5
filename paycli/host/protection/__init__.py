"""Who may call what: tokens and scopes."""
