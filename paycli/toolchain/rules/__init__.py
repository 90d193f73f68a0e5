"""What `lint` and `breaking` share: the engine of rules, a project's choice, and how findings are shown."""
