"""What to prove of a service: suites, their runner, their reports."""
