"""Type stubs (.pyi) for generated code."""
