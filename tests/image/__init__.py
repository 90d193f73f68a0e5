"""The container, built and run without a registry or a daemon: `nox -s image`."""
