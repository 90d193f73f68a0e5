"""What any transport must do, whichever carries the calls; grpc.aio is the reference."""
