"""The program: `paycli`, and `python -m paycli`."""

import signal


def main() -> None:
    """Load it and run it; Ctrl-C while it loads ends it without a word."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from paycli.cli import garbage

    garbage.seldom()
    from paycli.cli.app import main as run_main

    signal.signal(signal.SIGINT, before)
    run_main()


if __name__ == "__main__":
    main()
