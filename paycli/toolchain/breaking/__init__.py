"""What a change of protos breaks for deployed clients, by buf's rules."""
