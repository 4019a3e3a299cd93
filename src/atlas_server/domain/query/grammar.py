"""The grammar, and the parser that is made of it once."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from atlas_server.domain.query.mistakes import unexpected

# A word is whatever holds none of the signs that mean something; what it stands for is read
# later, by what it is compared with. Names and functions may have the sign of `sort:` before them.
_GRAMMAR = r"""
start: [_condition] [sorting]

_condition: disjunction
?disjunction: conjunction (_OR conjunction)*
?conjunction: negation (_AND? negation)*
?negation: _NOT negation -> negated
  | "(" disjunction ")"
  | column (OPERATOR | EQUALS | COLON) value -> comparison
  | column IN "(" value ("," value)* ")" -> membership
  | _TAG value (_IS value)? -> tagged
  | _HAS column -> present
  | _MISSING column -> missing
  | (WORD | STRING | DATE) -> text

column: WORD | NAME | FUNCTION "(" column ")"
value: WORD | STRING | DATE
sorting: _SORT column ("," column)*

_AND.5: /and(?=[\s()<>=!~:,"]|$)/i
_OR.5: /or(?=[\s()<>=!~:,"]|$)/i
_NOT.4: /not(?=[\s()<>=!~:,"]|$)/i
IN.6: /(not\s+)?in(?=\s*\()/i
_TAG.6: /tags?\s*:/i
_HAS.6: /has\s*:/i
_MISSING.6: /missing\s*:/i
_SORT.6: /sort\s*:/i
FUNCTION.6: /[-+]?(min|max|last|best|count)(?=\s*\()/i
NAME.5: /[-+]?(params?|metrics?|tags?)\.("(\\.|[^"\\])*"|[^\s()<>=!~:,"]+)/i
DATE.4: /\d{4}-\d\d?-\d\d?T\d\d?:\d\d(:\d\d)?(Z|[-+]\d\d:?\d\d)?(?=[\s(),]|$)/
WORD: /(?!(and|or|not)([\s()<>=!~:,"]|$))[^\s()<>=!~:,"]+/i
STRING: /"(\\.|[^"\\])*"/
OPERATOR.2: /<=|>=|!=|!~|==|[<>~]/
EQUALS: /=(?!=)/
_IS: /=(?!=)/
COLON: ":"
%ignore /\s+/
"""


def tree_of(text: str) -> Any:
    """The tree that a text is parsed into. Raises InvalidQuery."""
    from lark.exceptions import UnexpectedInput  # noqa: PLC0415 - as below

    try:
        return _parser().parse(text)
    except UnexpectedInput as error:
        raise unexpected(error, text) from error


@lru_cache(maxsize=1)
def _parser() -> Any:
    """The parser; making it takes some 50 ms."""
    from lark import Lark  # noqa: PLC0415 - a server may run for weeks before anybody asks

    return Lark(_GRAMMAR, parser="lalr", lexer="contextual", propagate_positions=True)
