"""Runs what a test wants at the start of a store's writer process, and of no other.

Python imports this module by itself when the folder is on its path: see `conftest.in_writer`.
"""

import os
import sys

if "paycli.storage.sqlite.writer_process" in sys.orig_argv:
    exec(os.environ.get("TEST_IN_WRITER", ""))
