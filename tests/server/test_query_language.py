"""The query language: what a text means, and how mistakes are told."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas_server.domain.query.completion import spot, values, words
from atlas_server.domain.query.goals import goal_of
from atlas_server.domain.query.literals import Date, duration, number, size, span
from atlas_server.domain.query.names import Names, unknown
from atlas_server.domain.query.parser import MAX_LENGTH, parse, parse_column, parse_sort
from atlas_server.domain.query.syntax import (
    Aggregate,
    AllOf,
    AnyOf,
    Column,
    Compare,
    Contains,
    Equals,
    Has,
    Matches,
    Not,
    Search,
    Source,
    StartsWith,
    quoted,
)
from foundations.errors import InvalidQuery

NOW = 1_790_000_000.0
NAMES = Names(
    frozenset({"lr", "learning rate", "model"}),
    frozenset({"loss", "val_loss", "accuracy"}),
    frozenset({"baseline", "sweep"}),
)


class FixedCalendar:
    """Days are counted from the epoch, whatever their date; enough to see which was asked for."""

    def now(self) -> float:
        return NOW

    def day(self, back: int) -> tuple[float, float]:
        return -back * 100.0, -back * 100.0 + 100

    def span(self, date: Date) -> tuple[float, float]:
        if date.month == 13:
            raise ValueError("month must be in 1..12")
        begin = date.year * 1e6 + (date.month or 1) * 1e4 + (date.day or 1) * 100
        begin += (date.hour or 0) + (date.offset or 0) / 1000
        return begin, begin + (100 if date.day else 1e4)


def read(text: str):
    return parse(text, FixedCalendar(), lambda: NAMES)


def condition(text: str):
    return read(text).condition


def field(name: str) -> Column:
    return Column(Source.FIELD, name)


def param(name: str) -> Column:
    return Column(Source.PARAM, name)


def metric(name: str, aggregate: Aggregate = Aggregate.LAST) -> Column:
    return Column(Source.METRIC, name, aggregate)


def tag(name: str) -> Column:
    return Column(Source.TAG, name)


def mistake(text: str) -> InvalidQuery:
    with pytest.raises(InvalidQuery) as caught:
        read(text)
    error = caught.value
    assert "\n" not in error.message
    assert 0 <= error.details["position"] <= len(text)
    return error


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("", None),
        ("metrics.loss < 0.3", Compare(metric("loss"), "<", 0.3)),
        ("metric.loss<0.3", Compare(metric("loss"), "<", 0.3)),
        ("METRICS.loss>=1e-3", Compare(metric("loss"), ">=", 0.001)),
        ("min(metrics.loss) <= 3", Compare(metric("loss", Aggregate.MIN), "<=", 3)),
        ("best( metrics.loss ) > .5", Compare(metric("loss", Aggregate.BEST), ">", 0.5)),
        ("last(metrics.loss) > 1", Compare(metric("loss"), ">", 1)),
        ("count(metrics.loss) = 10", Compare(metric("loss", Aggregate.COUNT), "=", 10)),
        ('metrics."val loss" > 1', Compare(metric("val loss"), ">", 1)),
        ('metrics."a \\"b\\" \\\\" > 1', Compare(metric('a "b" \\'), ">", 1)),
        ("metrics.phase = warm-up", Equals(metric("phase"), "warm-up")),
        ("metrics.loss = nan", Equals(metric("loss"), "NaN")),
        ("metrics.ok = true", Compare(metric("ok"), "=", 1.0)),
        ("params.lr > 0.01", Compare(param("lr"), ">", 0.01)),
        ("param.lr:0.1", AnyOf((Compare(param("lr"), "=", 0.1), Equals(param("lr"), "0.1", True)))),
        ('params.version = "1"', Equals(param("version"), "1")),
        ("params.model:ResNet", Equals(param("model"), "ResNet", folded=True)),
        ("params.model = ResNet", Equals(param("model"), "ResNet")),
        ("params.flag = True", Equals(param("flag"), "True", folded=True)),
        ("params.model ~ ^res", Matches(param("model"), "^res")),
        ("tag:baseline", Has(tag("baseline"))),
        ("tags:sweep=a", Equals(tag("sweep"), "a")),
        ('tag:"my sweep"="a b"', Equals(tag("my sweep"), "a b")),
        ("tags.sweep = a", Equals(tag("sweep"), "a")),
        ("status:running", Equals(field("state"), "running")),
        ("state = FAILED", Equals(field("state"), "failed")),
        ("name:res", Contains(field("name"), "res")),
        ("name = res", Equals(field("name"), "res")),
        ("user:Ada", Equals(field("user"), "Ada", folded=True)),
        ("id:3F2A", StartsWith(field("id"), "3f2a")),
        ("ram >= 8GB", Compare(field("memory"), ">=", 8 * 1024**3)),
        ("duration > 2h", Compare(field("duration"), ">", 7200)),
        ("priority:3", Compare(field("priority"), "=", 3)),
        ("submitted > -7d", Compare(field("submitted"), ">", NOW - 7 * 86400)),
        ("has:params.lr", Has(param("lr"))),
        ("missing:notes", Not(Has(field("notes")))),
        ("resnet", Search("resnet")),
        ('"two words"', Search("two words")),
        ('"and"', Search("and")),
        ("metrics.loss != 1", AllOf((Has(metric("loss")), Not(Compare(metric("loss"), "=", 1))))),
        ("name !~ x", AllOf((Has(field("name")), Not(Matches(field("name"), "x"))))),
        (
            "state in (failed, stopped)",
            AnyOf((Equals(field("state"), "failed"), Equals(field("state"), "stopped"))),
        ),
        (
            "user not in (ada)",
            AllOf((Has(field("user")), Not(AnyOf((Equals(field("user"), "ada"),))))),
        ),
        ("a b", AllOf((Search("a"), Search("b")))),
        ("a and b", AllOf((Search("a"), Search("b")))),
        ("a b or not c", AnyOf((AllOf((Search("a"), Search("b"))), Not(Search("c"))))),
        ("a (b or c)", AllOf((Search("a"), AnyOf((Search("b"), Search("c")))))),
        ("NOT a AND b", AllOf((Not(Search("a")), Search("b")))),
        ("android order", AllOf((Search("android"), Search("order")))),
    ],
)
def test_a_text_means(text, meaning):
    assert condition(text) == meaning


def test_a_day_is_the_whole_of_it():
    begin = 2026 * 1e6 + 11 * 1e4 + 2400
    column = field("submitted")
    inside = AllOf((Compare(column, ">=", begin), Compare(column, "<", begin + 100)))
    assert condition("submitted = 2026-11-24") == inside
    assert condition("submitted:2026-11-24") == inside
    assert condition("submitted > 2026-11-24") == Compare(column, ">=", begin + 100)
    assert condition("submitted >= 2026-11-24") == Compare(column, ">=", begin)
    assert condition("submitted < 2026-11-24") == Compare(column, "<", begin)
    assert condition("submitted <= 2026-11-24") == Compare(column, "<", begin + 100)
    assert condition("submitted != 2026-11-24") == AllOf((Has(column), Not(inside)))


@pytest.mark.parametrize(
    ("text", "begin"),
    [
        ("today", 0.0),
        ("yesterday", -100.0),
        ("now", NOW),
        ("-90min", NOW - 5400),
        ("+1w", NOW + 7 * 86400),
        ("2026", 2026 * 1e6 + 1e4 + 100),
        ("2026-11", 2026 * 1e6 + 11e4 + 100),
        ("2026-11-24 18:30", 2026 * 1e6 + 11e4 + 2400 + 18),
        ("2026-11-24T18:30:00+02:00", 2026 * 1e6 + 11e4 + 2400 + 18 + 0.12),
    ],
)
def test_times(text, begin):
    found = span(text, FixedCalendar())
    assert found is not None
    assert found[0] == pytest.approx(begin, abs=1e-6)


def test_quantities():
    assert duration("1.5h") == 5400
    assert duration("90") == 90
    assert duration("2 h") is duration("h") is duration("3parsec") is duration("1e9w") is None
    assert size("512MiB") == size("512m") == 512 * 1024**2
    assert size("10b") == 10
    assert size("10x") is size("ib") is None
    assert number("1e999") is number("0x10") is number("nan") is number("1_000") is None


def test_order():
    query = read('tag:a sort:-metrics.loss, min(metrics.acc),+name,-params."a b"')
    assert [str(sort) for sort in query.sort] == [
        "-metrics.loss", "min(metrics.acc)", "name", '-params."a b"',
    ]  # fmt: skip
    assert "tag:a sort:x"[: read("tag:a sort:name").end] == "tag:a "
    assert str(parse_sort("-best(metrics.loss)")) == "-best(metrics.loss)"
    assert parse_column("STATUS") == field("state")
    for wrong in ("", "a,b", "name sort:user", "name) or (x", "-name"):
        with pytest.raises(InvalidQuery):
            parse_column(wrong)


@pytest.mark.parametrize(
    ("text", "message", "position"),
    [
        ("metrics.loss <", "A value is missing at the end.", 14),
        ("(a or b", "A ')' is missing at the end.", 7),
        ("a)", "')' (character 2) does not fit there.", 1),
        ("a and", "A condition is missing at the end.", 5),
        ("a and or b", "A condition is missing before 'or' (character 7).", 6),
        ("or", "A condition is missing before 'or' (character 1).", 0),
        ("name = not", "A value is missing before 'not' (character 8).", 7),
        ("< 3", "A condition is missing before '<' (character 1).", 0),
        ('name = "abc', 'The text that begins at character 8 has no closing ".', 7),
        ("sort:name a", "'a' (character 11) comes after sort:, which stands at the end.", 10),
        ("sort:", "A column is missing at the end.", 5),
        ("state in (a, b)", "There is no state 'a'.", 10),
        ("user in (a b)", "A ',' or ')' is missing before 'b' (character 12).", 11),
        ("cpus < many", "'many' is not a number.", 7),
        ("name < 3", "'name' is a text; '<' compares numbers and times.", 5),
        ("tags.fold < 3", "Tags are texts; '<' compares numbers and times.", 10),
        ("min(params.lr) < 3", "min() is for a metric, as in min(metrics.loss).", 0),
        ("min(metrics.loss) = x", "'x' is not a number.", 20),
        ("-name = 3", "A sign before a column means something in sort: alone.", 0),
        ('name ~ "(a"', "The pattern '(a' cannot be read: missing ): (a.", 7),
        ('name ~ "(a)\\\\1"', "The pattern '(a)\\1' cannot be read", 7),
        ("cpus ~ 3", "'cpus' is no text that a pattern could match.", 5),
        ("submitted > 2026-13-01", "No calendar has the date '2026-13-01'.", 12),
        ("a\0b", "A query cannot hold a NUL character.", 1),
        ("x" * (MAX_LENGTH + 1), f"The query is longer than {MAX_LENGTH} characters.", MAX_LENGTH),
        ("(" * 60 + "a" + ")" * 60 + " or b", "", 0),
        ("not " * 60 + "a", "The query is nested too deeply.", 0),
        ("a " * 300, "The query is made of too many conditions.", 0),
    ],
)
def test_a_mistake_is_told_with_its_place(text, message, position):
    if not message:  # parentheses alone make nothing deeper
        assert condition(text) == AnyOf((Search("a"), Search("b")))
        return
    error = mistake(text)
    assert error.message.startswith(message)
    assert error.details["position"] == position


@pytest.mark.parametrize(
    ("text", "suggestion"),
    [
        ("statu:running", "state"),
        ("status:runing", "running"),
        ("reason:oom", "nonzero_exit"),
        ("submitted > 7d", "-7d"),
        ("loss < 3", "metrics.loss"),
        ("lr < 3", "params.lr"),
        ("acuracy < 3", "metrics.accuracy"),
        ("learning < 3", 'params."learning rate"'),
        ("frobnicate < 3", "metrics.frobnicate"),
    ],
)
def test_a_mistake_suggests_what_was_meant(text, suggestion):
    error = mistake(text)
    assert error.details["suggestions"][0] == suggestion
    assert f"Did you mean {suggestion}?" in error.message


def test_columns_that_no_job_has_are_told():
    found = unknown(
        read("metrics.los < 1 and has:params.lr and missing:tags.swep sort:name"), NAMES
    )
    assert [(str(item.column), item.suggestions[0]) for item in found] == [
        ("metrics.los", "metrics.loss"),
        ("tags.swep", "tags.sweep"),
    ]


plain_names = st.text(string.ascii_letters + string.digits + "_/.-", min_size=1, max_size=8)
any_names = st.text(
    st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=1, max_size=8
)


@given(st.sampled_from([Source.PARAM, Source.METRIC, Source.TAG]), plain_names | any_names)
def test_every_name_can_be_written(source, name):
    column = Column(source, name)
    assert parse_column(str(column)) == column
    query = read(f"has:{column} sort:-{column}")
    assert query.condition == Has(column)
    assert query.sort[0].column == column


@given(any_names)
def test_every_text_can_be_written(text):
    assert condition(f"name = {quoted(text)} user:ada") == AllOf(
        (Equals(field("name"), text), Equals(field("user"), "ada", folded=True))
    )


def is_read_or_told_to_be_wrong(text: str) -> None:
    try:
        end = read(text).end
    except InvalidQuery as error:
        end = error.details["position"]
    assert 0 <= end <= len(text)


@given(st.text(string.printable + "äß≤", max_size=40))
def test_any_text_is_read_or_told_to_be_wrong(text):
    is_read_or_told_to_be_wrong(text)


WORDS = [
    "(",
    ")",
    "and",
    "or",
    "not",
    "in",
    ":",
    "=",
    "!=",
    "<",
    ">=",
    "~",
    "!~",
    ",",
    "sort:",
    "has:",
    "missing:",
    "tag:",
    "min(",
    "metrics.loss",
    "params.lr",
    "tags.a",
    "name",
    "state",
    "submitted",
    "running",
    "0.3",
    "-7d",
    "2026-11-24",
    '"two',
    'words"',
    "x",
    '"',
    "-",
    "resnet",
]


@given(st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join))
def test_any_words_are_read_or_told_to_be_wrong(text):
    is_read_or_told_to_be_wrong(text)


def test_goals_follow_from_names_unless_told():
    for name in ("loss", "val_loss", "valLoss", "test/MSE", "train-error", "eval.perplexity"):
        assert goal_of(name, {}) == "min", name
    for name in ("accuracy", "f1", "closs_entropy2", "blossom", "auc"):
        assert goal_of(name, {}) == "max", name
    assert goal_of("loss", {"loss": "max"}) == "max"


@pytest.mark.parametrize(
    ("text", "first", "replaced"),
    [
        ("", "id", ""),
        ("metrics.lo", "metrics.loss", "metrics.lo"),
        ("los", "metrics.loss", "los"),
        ("tag:a and model", "params.model", "model"),
        ("tag:ba", "baseline", "ba"),
        ("sort:-val", "-metrics.val_loss", "-val"),
        ("min(metrics.a", "metrics.accuracy", "metrics.a"),
        ("status:running ", "and", ""),
        ("has", "has:", "has"),
    ],
)
def test_columns_and_keywords_are_completed(text, first, replaced):
    at = spot(text, len(text))
    assert text[at.start : at.end] == replaced
    assert words(at, NAMES)[0].text == first


def test_values_are_completed():
    at = spot("status:ru", 9)
    assert (at.column, at.prefix) == ("status", "ru")
    assert [word.text for word in values(at, ())] == ["running"]
    at = spot("params.model in (a, re", 22)
    assert (at.column, at.prefix) == ("params.model", "re")
    assert [word.text for word in values(at, ["resnet", "my resnet", 3.0])][:2] == [
        "resnet", '"my resnet"',
    ]  # fmt: skip
    assert spot("submitted > ", 12).column == "submitted"
