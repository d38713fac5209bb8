"""What holds for every test: nothing is sent anywhere, and a slow machine is no failure."""

from __future__ import annotations

import os

from dbt_common.behavior_flags import BehaviorFlagRendered
from dbt_common.tests import enable_test_caching
from hypothesis import HealthCheck, settings

os.environ.setdefault("AIRFLOW__COSMOS__ENABLE_TELEMETRY", "False")
os.environ.setdefault("DBT_SEND_ANONYMOUS_USAGE_STATS", "False")

# dbt parses the same few hundred macros of its own in every invocation. It keeps what it parsed, by text, for its own
# tests, which run many invocations in one process, too.
enable_test_caching()

# An adapter asks several times an invocation which module calls it, for a word in a log. The answer takes a look at
# every module for every frame: seconds in a process that has pytest, Airflow and dbt in it.
BehaviorFlagRendered._default_source = staticmethod(lambda: "tests")

settings.register_profile("shared", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.register_profile("thorough", parent=settings.get_profile("shared"), max_examples=1_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "shared"))
