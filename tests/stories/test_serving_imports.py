"""What a serving process loads: what decisions need, not what training, tracking and drift bring along."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

#: Seconds to load, hundreds of megabytes, or both.
NEVER = {"econml", "evidently", "mlflow", "optuna", "shap", "torch", "dask", "matplotlib", "numba"}
PROGRAM = """
import sys
import serving.service
from features.settings import load_settings
from serving.routes import Door
from serving.wiring import build
from features import clock
from serving.schema import DecideRequest
parts = build(load_settings(sys.argv[1]), Door())
parts.decider.decide(DecideRequest("r", "sim-000001"), clock.now())
parts.close()
print(*sorted({name.split(".")[0] for name in sys.modules}), file=sys.stderr)
"""


def test_a_serving_process_that_has_decided_has_loaded_no_training_library(new_home: Callable[..., Path]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(new_home())], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    loaded = set(done.stderr.splitlines()[-1].split())
    assert {"bentoml", "feast", "lightgbm", "serving", "training"} <= loaded
    assert loaded & NEVER == set()
