"""Protos as files and as descriptors: find them, compile them, explain what protoc says of them."""
