"""What `lint` and `breaking` share: a project's choice among rules, and how findings are shown."""
