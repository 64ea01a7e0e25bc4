#!/usr/bin/env python
"""The command line of this project."""

import os
import signal
import sys


def main() -> None:
    """Run the command that the arguments name."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "core.settings")
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            # The stream was closed before the start: what is written to it goes nowhere.
            setattr(sys, name, open(os.open(os.devnull, os.O_WRONLY), "w", closefd=False))  # noqa: SIM115
    signal.signal(signal.SIGTERM, lambda *_: _leave("terminated", 143))
    from django.core.exceptions import ImproperlyConfigured

    try:
        from django.core.management import execute_from_command_line

        execute_from_command_line(sys.argv)
    except KeyboardInterrupt:
        _leave("interrupted", 130)
    except ImproperlyConfigured as error:
        _leave(str(error), 2)


def _leave(how: str, code: int) -> None:
    """End the process with one line: no command has begun yet, or the command has finished and reported."""
    sys.stderr.write(f"error: {how}\n")
    sys.exit(code)


if __name__ == "__main__":
    main()
