"""Pages for a browser: each is one file, without scripts and without anything from elsewhere."""
