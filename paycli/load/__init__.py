"""Load on a service, and what it shows: generators, latencies, this machine's floor, comparisons."""
