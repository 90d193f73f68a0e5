"""Start one: a server of its own, or ours with something between it and the world."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc

from tests.broken_servers import between, simple

fault, port, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
server = grpc.server(ThreadPoolExecutor(32))
if fault in simple.FAULTS:
    simple.add_to(server, fault, folder)
else:
    between.add_to(server, fault, folder)
server.add_insecure_port(f"127.0.0.1:{port}")
server.start()
server.wait_for_termination()
