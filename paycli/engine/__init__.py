"""How a payment is carried out: the processor is asked, the store keeps what came of it. No gRPC."""
