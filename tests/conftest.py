"""What holds for every test: nothing is sent anywhere, and a slow machine is no failure."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

os.environ.setdefault("AIRFLOW__COSMOS__ENABLE_TELEMETRY", "False")
os.environ.setdefault("DBT_SEND_ANONYMOUS_USAGE_STATS", "False")

settings.register_profile("shared", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.register_profile("thorough", parent=settings.get_profile("shared"), max_examples=1_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "shared"))
