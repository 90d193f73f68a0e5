"""What watches calls: their end, log lines, metrics, traces."""
