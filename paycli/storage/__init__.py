"""Where payments live. `stores` is the one place that knows the backends; each has a folder."""
