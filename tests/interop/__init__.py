"""Clients of other makers and languages against our server; `nox -s interop` brings them."""
