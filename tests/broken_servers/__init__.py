"""Payment services with one fault each: python -m tests.broken_servers FAULT PORT FOLDER."""
