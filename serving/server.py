"""`python -m serving.server`: BentoML's own command, which ends without a word when it is interrupted while it starts.

Once it runs, its supervisor hears of Ctrl-C itself and stops the workers in order; they are in sessions of their own.
"""

from __future__ import annotations

import runpy
import signal


def main() -> None:
    """Runs `bentoml` with the words of the command line."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Python's own handler raises in the middle of an import
    runpy.run_module("bentoml", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
