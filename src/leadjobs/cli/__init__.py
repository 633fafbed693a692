"""The command line."""

from leadjobs.cli.entry import main

__all__ = ["main"]
