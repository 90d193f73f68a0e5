"""`python -m paycli` is the same program as `paycli`."""

from paycli.cli.app import main

main()
