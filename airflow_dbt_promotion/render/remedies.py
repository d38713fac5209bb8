"""Remedies: what would change a gate's answer, in the options of the command line.

Arguments of the functions and the operators have the same names, with underscores for hyphens.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType

from msgspec import Struct

from airflow_dbt_promotion.core.eligibility import GateName, Verdict
from airflow_dbt_promotion.core.instants import readable

_SKIP = "or go without by --skip-tests --reason TEXT, on record for good."
_IN_PLACE = "or build in place, with --strategy build."
_ASK = "Put it before people with `dbt-promote ask --target-environment {target}` and the same options."
_ANEW = "`dbt-promote approve --environment {target} --plan PLAN` says yes."
_RECORD = "then `dbt-promote record --environment {source}`"

REMEDIES: Mapping[GateName, Mapping[str, str]] = MappingProxyType(
    {
        GateName.SOURCE: {
            "source_never_recorded": f"Build in {{source}} with dbt, {_RECORD}.",
            "not_in_source": f"Build it in {{source}} with dbt, {_RECORD}.",
            "checkpoint_not_whole": (
                "Name another one by --to; `dbt-promote checkpoints --environment {target}` lists them, and says "
                "which are not whole. Where none is, promote what is right instead."
            ),
            "plan_moved": "Run the same command again: it plans anew.",
        },
        GateName.TESTS: {
            "not_built": f"Run `dbt build` for it in {{source}}, {_RECORD}.",
            "tests_changed": f"Run its tests in {{source}} and record the run, or give --run-tests; {_SKIP}",
            "incomplete": f"Run the missing tests in {{source}} and record the run, or give --run-tests; {_SKIP}",
            "revoked": f"Mend the model or the test, build in {{source}} and record the run; {_SKIP}",
            "no_tests": "Write a test for it, or let policy take models without (zero_tests: pass in promotion.yml).",
            "warned": "Clear the warning and record a run, or let policy take it (warnings: pass in promotion.yml).",
        },
        GateName.SOAK: {
            "soaking": "Wait{until}; or go early by --min-days-in-staging 0 --reason TEXT, on record for good.",
            "clock_stopped": "Build it with all of its tests in {source} and record the run: the clock starts then.",
            "stay_ended": "Build it in {source} on its new parents and record the run: the clock starts then.",
            "runs": "Let {source} run again and record it, as often as is asked for (min_successful_runs).",
        },
        GateName.COHERENCE: {
            "needs_upstream": "Add them with --include-upstream.",
            "test_needs_model": "Add them with --include-upstream.",
            "needs_downstream": (
                "Add them with --include-downstream, or leave them behind with --allow-stale-downstream: "
                "{target} is marked as not whole until they follow."
            ),
            "macro_conflict": "Add them with --include-macro-users, or let them follow in {source} first.",
            "project_conflict": "Add them with --include-macro-users, or let them follow in {source} first.",
            "parent_moved_on": "Build it in {source} on the parents that are there now, and record the run.",
            "gets_versions": "Let it go with --allow-removals; its relation stays in the warehouse.",
            "needs_other": "See what holds the other back, with `dbt-promote why`.",
            "tested_beside_others": "Promote with --strategy build, which runs these tests in {target}.",
        },
        GateName.CHANGE: {
            "removal": "Allow it with --allow-removals; its relation stays in the warehouse.",
            "incremental_change": (
                "Choose --on-incremental-change full_refresh (all rows anew) or forward_only (old rows stay)."
            ),
            "bypass_forbidden": "Leave the bypass out, or change `forbid` of {target} in promotion.yml.",
        },
        GateName.CODE: {
            "code_not_kept": f"Build it in {{source}} with its code at hand, {_RECORD}: that keeps its sources.",
            "code_lost": f"Bring the release store back, or build it in {{source}} with its code at hand, {_RECORD}.",
            "not_in_target": "Enable it for {target} in the project, then build it in {source} and record the run.",
            "versions_moved": f"Run the dbt that built it, or build it in {{source}} with this dbt, {_RECORD}.",
            "not_reproducible": "Promote what it stands beside from one newer release, too; the reason names it.",
            "checkpoint_not_kept": "Name another checkpoint by --to, or promote a version that mends it.",
            "code_moved": "Check out the code that soaked in {source}, or build and record what is at hand there.",
        },
        GateName.PUBLISHING: {
            "strategy_unknown_here": "Leave --strategy out, or choose another one: docs/publishing.md has them.",
            "in_the_way": "Rename or drop what has the name; what this package made is dropped by `dbt-promote clean`.",
            "not_owned": f"Let it be owned by the role that runs dbt in {{target}}; {_IN_PLACE}",
            "view_left_behind": f"Let the view be owned by the role that runs dbt in {{target}}; {_IN_PLACE}",
            "depended_on": f"Drop what depends on it, and make it again afterwards; {_IN_PLACE}",
            "not_copied": f"Take away what would not act on the copy; {_IN_PLACE}",
            "not_carried": f"Take it away, or let config make it (a hook, say); {_IN_PLACE}",
            "never_anew": "Choose --on-incremental-change forward_only.",
            "not_swappable": f"It cannot be swapped as it is; {_IN_PLACE}",
            "other_database": f"Let all models lie in the target's database; {_IN_PLACE}",
        },
        GateName.BLOCK: {
            "version_blocked": (
                "Let a newer version soak, or lift the block with `dbt-promote unblock --environment ENV "
                "--reason TEXT`, where the reason says that it is blocked."
            ),
        },
        GateName.APPROVAL: {
            "approval_needed": f"{_ASK} Then others say `dbt-promote approve`, or approve in Airflow.",
            "approved_otherwise": f"{_ASK} What people said of other choices does not count.",
            "rejected": (
                "Correct what they say and promote the new version. Or name the model with --models: it goes once they "
                "approve after all, with one more approval than policy asks, or by --overrule-rejection --reason TEXT."
            ),
            "not_an_approver": "Let somebody approve whom `approvers` in promotion.yml names.",
            "claimed_only": (
                "Let somebody approve who signed in to Airflow; or let policy trust names of the command line "
                "(trust_claimed: true in promotion.yml)."
            ),
            "four_eyes": "Let somebody else approve.",
            "approval_expired": f"Let them approve once more; {_ANEW}",
        },
        GateName.HOLD: {
            "held": "Lift it with `dbt-promote release --environment {target} --reason TEXT`.",
        },
        GateName.WINDOW: {
            "frozen": "Lift it with `dbt-promote thaw --environment {target} --reason TEXT`.",
            "window_closed": "Wait{until}; or change `windows` of {target} in promotion.yml.",
            "never_opens": "Change `windows` of {target} in promotion.yml.",
        },
    }
)
"""What a person can do about each answer that is not `passed`, by gate and code."""


class Ends(Struct, frozen=True, kw_only=True):
    """The two environments that an answer is about, and the present instant."""

    source: str
    target: str
    now: datetime


def remedy(verdict: Verdict, ends: Ends) -> str | None:
    """Return what would change an answer; None where the gate is open, or where nothing is known to do."""
    if verdict.passed:
        return None
    told = REMEDIES[verdict.gate].get(verdict.code)
    if told is None:
        return None
    until = "" if verdict.eligible_at is None else f" until {when(verdict.eligible_at, ends.now)}"
    return told.format(source=ends.source, target=ends.target, until=until)


def when(instant: datetime, now: datetime) -> str:
    """Return a future instant as people need it: `2026-07-25 10:00 UTC (in 3 h 12 min)`; never told too early."""
    ahead = f" (in {readable(instant - now)})" if instant > now else " (now)"
    told = instant + timedelta(seconds=1, microseconds=-instant.microsecond) if instant.microsecond else instant
    return moment(told) + ahead


def moment(instant: datetime) -> str:
    """Return an instant to the minute, or to the second where it is not on the minute; UTC is always said."""
    return f"{instant:%Y-%m-%d %H:%M:%S} UTC" if instant.second else f"{instant:%Y-%m-%d %H:%M} UTC"
