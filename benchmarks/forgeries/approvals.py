"""Approvals that were not given for this card, or that no longer count; all under policy ssh."""

from __future__ import annotations

import datetime
import random
from collections.abc import Iterator, Sequence

from benchmarks.forgeries.office import ADA, EVE, LEE, NOW, REVIEWERS, Case, Office, edited, load, mark_of, place_of
from cardrunner.card.load import LoadedCard
from cardrunner.card.reading.edit import Edit, Removal
from cardrunner.card.reading.one_line import PlainValue
from cardrunner.common.clock import timestamp


def forged(office: Office, cards: Sequence[str], chance: random.Random) -> Iterator[Case]:
    """Approvals that were not given for this card, or that no longer count.

    Args:
        cards: the base cards, unsigned.
    """
    for text in cards:
        signed = office.signed(text)
        yield from _of_other_cards(office, text, [other for other in cards if other != text], chance)
        yield from _of_other_people(office, text, chance)
        yield from _other_times_and_places(office, text, signed, chance)
        yield from _damaged(signed, chance)
        yield from _retold(signed, chance)
        yield from _typed(office, signed)
        yield from _with_lower_demands(office, text, signed)


def _of_other_cards(office: Office, text: str, others: Sequence[str], chance: random.Random) -> Iterator[Case]:
    own = load(text)
    for other in others:
        yield Case("copied from another card", _copied(own, load(office.signed(other)), digest=None))
        yield Case("copied from another card, digest corrected", _copied(own, load(office.signed(other)), own.digest))
    for _ in range(20):
        name = f"{own.card.name}-{chance.randrange(10**6)}"
        renamed = edited(own, Edit(("name",), name))
        approved = load(office.signed(renamed))
        yield Case("copied from another run name", _copied(own, approved, digest=None))
        yield Case("copied from another run name, digest corrected", _copied(own, approved, own.digest))


def _copied(own: LoadedCard, other: LoadedCard, digest: str | None) -> str:
    edits = []
    for reviewer in REVIEWERS:
        mark = dict(mark_of(other, reviewer))
        edits.append(Edit(place_of(reviewer, own), mark | ({"digest": digest} if digest else {})))
    return edited(own, *edits)


def _of_other_people(office: Office, text: str, chance: random.Random) -> Iterator[Case]:
    for kind, key in (("self-approval", ADA), ("a stranger's key", EVE), ("another person's key", LEE)):
        for _ in range(10):
            note = f"seen {chance.randrange(10**6)}"
            half = office.signed(text, by=["mattie"], note=note)
            yield Case(kind, office.with_statement(half, "scav", key=key, note=note))
    for _ in range(10):
        note = f"seen {chance.randrange(10**6)}"
        twice = office.with_statement(office.signed(text, by=["scav"], note=note), "mattie", key="scav", note=note)
        yield Case("one key under two names", twice)
        yield Case("one key under two names, listed twice", twice, "one key")
        yield Case("one key under two names, on one line", twice, "two names")
    signed = load(office.signed(text))
    swapped = {"scav": mark_of(signed, "mattie"), "mattie": mark_of(signed, "scav")}
    yield Case("swapped", edited(signed, *(Edit(place_of(name, signed), mark) for name, mark in swapped.items())))


def _other_times_and_places(office: Office, text: str, signed: str, chance: random.Random) -> Iterator[Case]:
    for _ in range(10):
        at = timestamp(NOW - datetime.timedelta(seconds=chance.randrange(10**7)))
        backdated = office.signed(text, at=at)
        yield Case("an expired key, dated back", backdated, "expired")
        yield Case("a revoked key, dated back", backdated, "revoked")
        ahead = timestamp(NOW + datetime.timedelta(seconds=301 + chance.randrange(10**7)))
        yield Case("dated in the future", office.signed(text, at=ahead))
    for namespace in ("file", "git", "cardrunner2", "Cardrunner", "cardrunner@team", "sign-off"):
        wrong = office.with_statement(office.signed(text, by=["mattie"]), "scav", key="scav", namespace=namespace)
        yield Case("another namespace", wrong)
    for workspace in ("star", "everything", "empty", "no list"):
        yield Case("a list of signers that trusts too much, or is empty", signed, workspace)


def _damaged(signed: str, chance: random.Random) -> Iterator[Case]:
    loaded = load(signed)
    mark = mark_of(loaded, "scav")
    block = str(mark["ssh"])
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    begins, ends = block.index("\n") + 1, block.rindex("\n")
    for _ in range(60):
        yield _with_block(loaded, mark, block[: chance.randrange(1, len(block))], "truncated")
        cut = chance.randrange(begins, ends)
        yield _with_block(loaded, mark, block[:cut] + block[cut + 1 :], "a character lost")
        if block[cut] != "\n":
            other = chance.choice(letters.replace(block[cut], ""))
            yield _with_block(loaded, mark, block[:cut] + other + block[cut + 1 :], "a character changed")
    other_block = str(mark_of(loaded, "mattie")["ssh"])
    for joined in (
        f"{block}\n{other_block}",
        f"{other_block}\n{block}",
        f"{block}{block}",
        f"x\n{block}",
        f"{block}\nx",
    ):
        yield _with_block(loaded, mark, joined, "more than one signature")


def _with_block(loaded: LoadedCard, mark: dict[str, PlainValue], block: str, kind: str) -> Case:
    return Case(kind, edited(loaded, Edit(place_of("scav", loaded), mark | {"ssh": block})))


def _retold(signed: str, chance: random.Random) -> Iterator[Case]:
    loaded = load(signed)
    mark = mark_of(loaded, "scav")
    changes: list[dict[str, PlainValue]] = [{"note": f"seen {chance.randrange(10**6)}"} for _ in range(10)]
    changes += [{"conditions": [f"rerun {chance.randrange(10**6)}"]} for _ in range(5)]
    changes += [{"at": timestamp(NOW - datetime.timedelta(seconds=chance.randrange(1, 10**7)))} for _ in range(10)]
    changes += [{"verdict": "block"}]
    digest = str(mark["digest"])
    for _ in range(10):
        place = chance.randrange(64)
        changes.append({"digest": digest[:place] + ("0" if digest[place] != "0" else "1") + digest[place + 1 :]})
    for change in changes:
        yield Case("a statement retold", edited(loaded, Edit(place_of("scav", loaded), mark | change)))


def _typed(office: Office, signed: str) -> Iterator[Case]:
    loaded = load(signed)
    digest, place = loaded.digest, place_of("scav", loaded)
    typed: tuple[PlainValue, ...] = (
        True, "APPROVED", "yes", 1, [], {}, {"verdict": "approve"}, {"status": "APPROVED"},
        {"digest": digest, "verdict": "approve", "at": timestamp(NOW)},
        {"digest": digest, "verdict": "approve", "at": timestamp(NOW), "ssh": "APPROVED"},
        {"digest": digest, "verdict": "APPROVED", "at": timestamp(NOW)},
    )  # fmt: skip
    for value in typed:
        yield Case("a typed status", edited(loaded, Edit(place, value)))
    for line in ("status: APPROVED\n", "approved: true\n", "signed: true\n", "gate: open\n"):
        yield Case("a typed status", f"{signed.rstrip()}\n{line}")
        yield Case("a typed status", f"{line}{signed}")
    blocked = load(office.with_statement(signed, "scav", key="scav", verdict="block"))
    yield Case("a block", blocked.document.text)
    flipped = mark_of(blocked, "scav") | {"verdict": "approve"}
    yield Case("a block retold as an approval", edited(blocked, Edit(place, flipped)))
    asked = load(office.with_statement(signed, "scav", key="scav", conditions=("rerun",)))
    yield Case("an open condition", asked.document.text)
    yield Case("a condition taken out", edited(asked, Removal((*place, "conditions"))))
    met: PlainValue = [{"condition": "rerun it", "by": ADA, "at": timestamp(NOW)}]
    yield Case("another condition met", edited(asked, Edit((*place, "met"), met)))
    for index in range(len(loaded.card.checklist)):
        yield Case("an open item", edited(loaded, Edit(("checklist", index, "done"), False)))


def _with_lower_demands(office: Office, text: str, signed: str) -> Iterator[Case]:
    one, loaded = load(office.signed(text, by=["mattie"])), load(signed)
    mark = mark_of(one, "mattie")
    alone: list[PlainValue] = [{"id": "mattie", "name": "Mattie", "signed": mark}]
    yield Case("a reviewer dropped", edited(one, Edit(("sign_off", "reviewers"), alone)))
    yield Case("a reviewer not required", edited(one, Edit(("sign_off", "reviewers", 0, "required"), False)))
    yield Case("fewer needed", edited(one, Edit(("sign_off", "need"), 1)))
    yield Case("a reviewer renamed", edited(loaded, Edit(("sign_off", "reviewers", 0, "id"), LEE)))
    yield Case("the author renamed", edited(loaded, Edit(("author",), LEE)))
    yield Case("the author taken out", edited(loaded, Removal(("author",))))
    for policy in ("digest", "boxes"):
        lowered = edited(load(text), Edit(("sign_off", "policy"), policy))
        yield Case("the policy lowered", edited(loaded, Edit(("sign_off", "policy"), policy)))
        marks = [Edit(place_of(name, loaded), True if policy == "boxes" else _bare(lowered)) for name in REVIEWERS]
        yield Case("the policy lowered and signed anew", edited(load(lowered), *marks), "floor")


def _bare(text: str) -> PlainValue:
    return {"digest": load(text).digest, "verdict": "approve", "at": timestamp(NOW)}
