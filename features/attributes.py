"""Attributes of customers as features: of which type each is, which texts have a column, and whose value fits neither.

One odd row never changes what others mean. An attribute's type is decided when it is first applied, by most of the
customers who have it, and stays; a value of the other type then counts as missing, for that customer alone. A text
attribute has a column for each of its commonest texts; one more text takes no column away.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from features.names import is_plain, joined, spelled

#: A text attribute has at most this many columns.
MAX_TEXT_VALUES = 20
#: With more distinct texts than that, it has columns only if they are of this share of its customers: it is no id then.
COMMON_SHARE = 0.9
#: At most this many attributes become features, those known of most customers first.
MAX_ATTRIBUTES = 100
#: Of more texts than this the rest are counted together.
_TOLD_APART = 1_000
#: So much of a text is shown to people.
_SHOWN = 60


@dataclass(frozen=True, slots=True)
class AttributeValues:
    """What the ledger holds of one attribute: how many customers have a number there, and how many have which text.

    `texts`: the commonest with their customers, the commonest first, at least twice MAX_TEXT_VALUES where there are so
    many; `with_text` customers have one of all `distinct` texts.
    """

    with_number: int = 0
    with_text: int = 0
    distinct: int = 0
    texts: tuple[tuple[str, int], ...] = ()

    @staticmethod
    def of(numbers: int = 0, texts: Mapping[str, int] | None = None, others: int = 0) -> AttributeValues:
        """From the texts, each with the number of its customers, and `others` whose text is none of these."""
        found = sorted((texts or {}).items(), key=lambda one: (-one[1], one[0]))
        count, distinct = sum(n for _, n in found) + others, len(found) + bool(others)
        return AttributeValues(numbers, count, distinct, tuple(found[: 2 * MAX_TEXT_VALUES]))

    @property
    def customers(self) -> int:
        return self.with_number + self.with_text


class AttributeTally:
    """Counts the attributes of customers as they go by. Of one with very many texts only the first are told apart."""

    def __init__(self) -> None:
        self._numbers: Counter[str] = Counter()
        self._texts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._others: Counter[str] = Counter()

    def see(self, attributes: Mapping[str, object]) -> None:
        """Counts those of one customer."""
        for name, value in attributes.items():
            if isinstance(value, bool | int | float):
                self._numbers[name] += 1
            elif isinstance(value, str) and (value in (texts := self._texts[name]) or len(texts) < _TOLD_APART):
                texts[value] += 1
            elif isinstance(value, str):
                self._others[name] += 1

    def found(self) -> dict[str, AttributeValues]:
        return {
            name: AttributeValues.of(self._numbers[name], self._texts.get(name), self._others[name])
            for name in sorted({*self._numbers, *self._texts})
        }

    def odd(self, applied: Collection[str] | None) -> tuple[str, ...]:
        """What does not fit the columns `applied`, named by their SQL, or those that these attributes would get."""
        found = self.found()
        return tuple(odd_values(found, {c.sql for c in attribute_columns(found, ())} if applied is None else applied))


@dataclass(frozen=True, slots=True)
class Column:
    """A feature made of an attribute: what it is to be called, its SQL and what it means."""

    name: str
    sql: str
    description: str


def attribute_columns(attributes: Mapping[str, AttributeValues], applied: Collection[str]) -> Iterator[Column]:
    """The columns that attributes are to have, beside those that were `applied` before, named by their SQL.

    Equal arguments give equal columns, whatever the order of `attributes`.
    """
    for name in sorted(_chosen(attributes, applied)):
        if is_text(name, attributes[name], applied):
            yield from (text_column(name, text) for text in _new_texts(name, attributes[name], applied))
        else:
            yield number_column(name)


def odd_values(attributes: Mapping[str, AttributeValues], applied: Collection[str]) -> Iterator[str]:
    """What is missing of attributes for some customers, a sentence each; `applied` are the SQL of all features."""
    for name, values in sorted(attributes.items()):
        if number_column(name).sql in applied and values.with_text:
            examples = ", ".join(repr(_short(text)) for text, _ in values.texts[:3])
            count = _of(values.with_text, values.customers, "customer")
            yield f"{count} {name} is not a number and counts as missing: {examples}"
        elif _columns_of(name, applied):
            if values.with_number:
                count = _of(values.with_number, values.customers, "customer")
                yield f"{count} {name} is a number, not a text, and counts as missing"
            without = [(t, n) for t, n in values.texts if text_column(name, t).sql not in applied]
            if without:
                examples = ", ".join(repr(_short(text)) for text, _ in without[:3])
                count = f"{len(_columns_of(name, applied))} texts of {name} have a column"
                yield f"{count}, {values.distinct:,} occur; none for {examples}"
        elif values.with_text > values.with_number and values.distinct > MAX_TEXT_VALUES:
            yield f"{name} is no feature: it has {values.distinct:,} different texts"
    chosen = _chosen(attributes, applied)
    left = len([n for n in attributes if n not in chosen and _is_feature(n, attributes[n], applied)])
    if left:
        yield f"{left} attributes are no features: {MAX_ATTRIBUTES}, those known of most customers, are"


def number_column(name: str) -> Column:
    # "tier_is_gold" as a number would be called as the attribute tier where it is 'gold'.
    called = spelled("attribute", name) if _looks_like_a_text(name) else joined("attribute", name)
    return Column(called, f"numbers[{quoted(name)}]", f"the attribute {_short(name)}")


def text_column(name: str, text: str) -> Column:
    plain = is_plain(name) and not _looks_like_a_text(name)
    called = f"attribute_{name}_is" if plain else f"{spelled('attribute', name)}__is"
    # A comparison with NULL is NULL: an unknown attribute has unknown indicators.
    sql = f"{_text_of(name)}{quoted(text)}"
    return Column(joined(called, text), sql, f"1 when the attribute {_short(name)} is {_short(text)}")


def is_text(name: str, values: AttributeValues, applied: Collection[str]) -> bool:
    """Whether an attribute is text: as it was applied, or as it is for most of the customers who have it."""
    if number_column(name).sql in applied:
        return False
    return bool(_columns_of(name, applied)) or values.with_text >= values.with_number


def quoted(text: str) -> str:
    """A text as a literal of SQL."""
    return "'" + text.replace("'", "''") + "'"


def _chosen(attributes: Mapping[str, AttributeValues], applied: Collection[str]) -> set[str]:
    """Those applied before, then those known of most customers, as long as there is room."""
    known = {name for name in attributes if number_column(name).sql in applied or _columns_of(name, applied)}
    others = sorted(attributes.keys() - known, key=lambda name: (-attributes[name].customers, name))
    wanted = (name for name in others if _is_feature(name, attributes[name], applied))
    return known | set(islice(wanted, max(0, MAX_ATTRIBUTES - len(known))))


def _is_feature(name: str, values: AttributeValues, applied: Collection[str]) -> bool:
    return not is_text(name, values, applied) or bool(_new_texts(name, values, applied))


def _new_texts(name: str, values: AttributeValues, applied: Collection[str]) -> list[str]:
    """The texts that get a column and had none, sorted."""
    had = _columns_of(name, applied)
    fresh = [one for one in values.texts if text_column(name, one[0]).sql not in had]
    fresh = fresh[: max(0, MAX_TEXT_VALUES - len(had))]
    if not had and values.distinct > MAX_TEXT_VALUES:
        fresh = fresh if sum(count for _, count in fresh) >= COMMON_SHARE * values.with_text else []
    return sorted(text for text, _ in fresh)


def _columns_of(name: str, applied: Collection[str]) -> list[str]:
    return [sql for sql in applied if sql.startswith(_text_of(name))]


def _text_of(name: str) -> str:
    return f"texts[{quoted(name)}] = "


def _looks_like_a_text(name: str) -> bool:
    return "_is_" in f"{name}_"[1:]


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _of(some: int, every: int, noun: str) -> str:
    return f"{some:,} of {every:,} {noun}{'s' if every != 1 else ''}'"
