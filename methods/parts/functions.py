"""Torch functions seen as they are called, by a module, as a function or a method."""

from collections.abc import Callable
from functools import cache
from types import FunctionType

from torch.nn import functional
from torch.overrides import TorchFunctionMode


class SeenFunctions(TorchFunctionMode):
    """While it is on, every torch function goes through `call`; one that is written in Python, through what it calls."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if _is_composite(func):
            with self:
                return _body_of(func)(*args, **kwargs)
        return self.call(func, getattr(func, "__name__", ""), args, kwargs)

    def call(self, func: Callable, name: str, args: tuple, kwargs: dict) -> object:
        """What the function gives under this mode."""
        raise NotImplementedError


def _is_composite(func: Callable) -> bool:
    """A function of torch.nn.functional that is written in Python."""
    return isinstance(func, FunctionType) and func.__module__ == functional.__name__ and func.__closure__ is None


@cache
def _body_of(func: FunctionType) -> FunctionType:
    """The function without its first lines, which would hand it over to the mode: now the mode sees what it calls."""
    names = ("has_torch_function", "has_torch_function_unary", "has_torch_function_variadic")
    body = FunctionType(
        func.__code__, vars(functional) | dict.fromkeys(names, lambda *_: False), func.__name__, func.__defaults__
    )
    body.__kwdefaults__ = func.__kwdefaults__
    return body
