"""Changes: the class of each, and what is a removal."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from airflow_dbt_promotion.core.change import Change, ChangeKind, difference, kind_of
from airflow_dbt_promotion.core.eligibility import GateName, blocked, passed
from airflow_dbt_promotion.core.state import Entry, EntryOrigin
from airflow_dbt_promotion.core.stays import entry_of, leave
from tests.scenarios import DAY, NOON, dbt_run, empty_state, model_id, recorded, release

ORDERS = model_id("orders")
SHOP = release()


def entry(code: str = "select 1", **told: object) -> Entry:
    found = entry_of(release(code={"orders": code}), ORDERS, NOON, EntryOrigin.RUN, "run")
    return replace(found, **told)


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        (None, entry(), ChangeKind.ADDED),
        (entry(), None, ChangeKind.REMOVED),
        (entry(), entry("select 2"), ChangeKind.MODIFIED),
        (entry(), entry(version="other"), ChangeKind.INDIRECT),
        (entry(stale_since=NOON), entry(), ChangeKind.INDIRECT),
        (entry(), entry(tests="other"), ChangeKind.METADATA),
        (entry(), entry(meta="other"), ChangeKind.METADATA),
        (entry(), entry(since=NOON + DAY, by="another run"), ChangeKind.UNCHANGED),
    ],
)
def test_the_class_of_a_change(before: Entry | None, after: Entry | None, kind: ChangeKind) -> None:
    assert kind_of(before, after) is kind


def test_a_change_between_nothing_and_nothing_is_a_broken_contract() -> None:
    with pytest.raises(ValueError, match="one side"):
        kind_of(None, None)


def test_a_change_tells_its_versions_and_whether_it_may_go() -> None:
    change = Change(model=ORDERS, kind=ChangeKind.MODIFIED, before=entry(), after=entry("select 2"))
    assert (change.name, change.from_version, change.to_version) == (
        "orders",
        entry().version,
        entry("select 2").version,
    )
    assert change.allowed
    assert not replace(change, verdicts=(passed(GateName.SOAK, "a", ""), blocked(GateName.SOAK, "b", ""))).allowed
    assert Change(model=ORDERS, kind=ChangeKind.REMOVED, before=None, after=None).from_version is None
    assert Change(model=ORDERS, kind=ChangeKind.REMOVED, before=None, after=None).to_version is None


def test_what_only_the_target_holds_is_removed_once_the_source_let_it_go() -> None:
    target = recorded(SHOP, dbt_run(SHOP, NOON), state=empty_state("production"))
    source = recorded(SHOP, dbt_run(SHOP, NOON))
    left = leave(source, ORDERS, NOON + DAY)
    never = empty_state()
    project = release({"raw_orders": ()}).models
    assert {change.kind for change in difference(source, target, SHOP.models).values()} == {ChangeKind.UNCHANGED}
    assert difference(left, target, None)[ORDERS].kind is ChangeKind.REMOVED
    assert difference(left, target, project)[ORDERS].kind is ChangeKind.REMOVED
    assert ORDERS not in difference(left, target, SHOP.models)
    assert difference(never, target, None) == {}
    assert set(difference(never, target, project)) == set(SHOP.models) - set(project)
