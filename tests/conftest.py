"""What holds for every test: nothing is sent anywhere, and a slow machine is no failure."""

from __future__ import annotations

import inspect
import os
from importlib.util import find_spec

from hypothesis import HealthCheck, settings

os.environ.setdefault("AIRFLOW__COSMOS__ENABLE_TELEMETRY", "False")
os.environ.setdefault("DBT_SEND_ANONYMOUS_USAGE_STATS", "False")

# dbt asks for the stack several times an invocation, and Python looks through all modules for each frame of which it
# does not find one. xdist's workers begin with such frames, and end with thousands of modules: seconds an invocation.
inspect.modulesbyfile["<string>"] = "__main__"
if (remote := find_spec("xdist.remote")) is not None and remote.origin is not None:
    inspect.modulesbyfile[remote.origin] = "__main__"

settings.register_profile("shared", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.register_profile("thorough", parent=settings.get_profile("shared"), max_examples=1_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "shared"))
