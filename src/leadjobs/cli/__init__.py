"""The command line."""

from leadjobs.cli.main import main

__all__ = ["main"]
