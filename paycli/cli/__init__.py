"""One thin file per command: options, one call, output. `app` lists them."""
