"""paycli: compile, run, call and prove a gRPC payment service."""

__version__ = "0.1.0"
