"""What came of a run, as others read it: people on a terminal and in a browser, CI systems, GitHub."""
