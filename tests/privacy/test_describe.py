"""Privacy accounts in words: the promise, its limits, and where there is none."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from scholars.privacy.account import compose_account
from scholars.privacy.describe import describe_privacy, privacy_facts
from scholars.storage.privacy_account import PrivacyCost


def records(**private: bool) -> Any:
    return [SimpleNamespace(kind="learn", name=name, private=value) for name, value in private.items()]


def cost(**changes: Any) -> PrivacyCost:
    return PrivacyCost.model_validate(
        {"id": "0" * 32, "noise_multiplier": 2.0, "group": 1, "disjoint": False, **changes}
    )


def test_no_private_task_no_words() -> None:
    assert describe_privacy(None, []) is None
    assert privacy_facts(None, []) is None


def test_what_is_promised_and_what_is_not() -> None:
    account = compose_account([cost()], 1e-5)
    words = describe_privacy(account, records(june=True)) or ""
    assert f"epsilon {account.epsilon:.3g}, delta 1e-05" in words
    assert "any one photo" in words
    assert "Not protected: what many photos have in common" in words
    assert "NOT protected" not in words
    facts = privacy_facts(account, records(june=True, july=False))
    assert facts is not None
    assert facts["unprotected"] == ["july"]
    assert "NOT protected: the photos of july" in (describe_privacy(account, records(june=True, july=False)) or "")


def test_of_several_groups_the_smallest_is_promised() -> None:
    account = compose_account([cost(group=5), cost(id="1" * 32, group=3)], 1e-5)
    assert "up to 3 in a task" in (describe_privacy(account, records(june=True)) or "")


def test_noise_from_a_seed_promises_nothing() -> None:
    account = compose_account([cost(insecure=True)], 1e-5)
    assert (describe_privacy(account, records(june=True)) or "").startswith("not private")
    assert privacy_facts(account, records(june=True)) is None
