"""Numbers of other libraries as plain Python values, recognised by how they behave.

NumPy, PyTorch, JAX, TensorFlow and others are never imported here: a job may have any of them,
in any version, or none.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Union

    Scalar = Union[str, int, float, bool]


class NotScalar(TypeError):
    """The value is not one text, number or boolean."""


def plain_scalar(value: Any) -> Scalar:
    """Return `value` as a str, int, float or bool.

    Accepts these, whatever has `__index__` or `__float__`, and scalars and arrays of shape `()`.
    Raises NotScalar for anything else; arrays with dimensions are refused even if they hold a
    single element, since nothing says that they always will.
    """
    if isinstance(value, (str, int, float)):
        return value
    if getattr(value, "shape", None) is not None:
        value = _element(value)
        if isinstance(value, (str, int, float)):
            return value
    # float() and not value.__float__(): it also checks what comes back.
    for method, convert in (("__index__", int), ("__float__", float)):
        if hasattr(type(value), method):
            try:
                return convert(value)
            except Exception as error:  # a foreign conversion may raise anything
                if method == "__float__":
                    raise NotScalar("cannot be converted to a number: {}".format(error)) from error
    raise NotScalar("not a text, number or boolean")


def _element(array: Any) -> Any:
    """Return the one element of an array of shape (), as Python sees it where possible."""
    try:
        if tuple(array.shape) != ():
            raise NotScalar("an array of shape {}".format(tuple(array.shape)))
        for method in ("item", "numpy"):  # `numpy`: TensorFlow, whose tensors have no `item`
            convert = getattr(array, method, None)
            if callable(convert):
                element = convert()
                return _element(element) if method == "numpy" else element
    except NotScalar:
        raise
    except Exception as error:  # traced, deferred or lost tensors raise errors of their own
        raise NotScalar("the value of the array cannot be read: {}".format(error)) from error
    return array
