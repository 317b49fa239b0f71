"""Apple's MPS, posed as by a CPU: tensors that say `mps`, hold their values in a CPU's, and refuse what MPS would refuse.

Refused are float64 and complex128, every operator without an MPS kernel, and operands of two devices. Which operators have a
kernel says PyTorch's table of all operators and their kernels, native_functions.yaml, as it ships with the torch at hand.
"""

import contextlib
import functools
from pathlib import Path
from unittest import mock

import torch
import torchgen
import yaml
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

TABLE = Path(torchgen.__file__).parent / "packaged/ATen/native/native_functions.yaml"
ANYWHERE = ("MPS", "CompositeExplicitAutograd", "CompositeExplicitAutogradNonFunctional", "CompositeImplicitAutograd")
THERE = torch.device("mps:0")  # as tensors say it; torch asks a device without an index, which is the current one
WIDE = (torch.float64, torch.complex128)
MIXED = {"index", "index_put", "index_put_", "_index_put_impl_", "copy_"}  # take an index or values of a CPU


class Refused(RuntimeError):
    """What MPS does not do."""


class Posed(torch.Tensor):
    """A tensor on MPS. To autograd it lies on torch's `meta` device, as this machine's torch cannot work on another."""

    device = THERE
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, values):
        if values.dtype in WIDE:
            raise Refused(f"a tensor of {values.dtype}")
        layout = {"strides": values.stride(), "storage_offset": values.storage_offset()}
        return cls._make_wrapper_subclass(cls, values.size(), **layout, dtype=values.dtype, device="meta")

    def __init__(self, values):
        self.values = values

    def tolist(self):
        return self.cpu().tolist()

    def __getitem__(self, index):
        """A list of places is a tensor of a CPU: torch would make one on `meta`, of no values."""
        return super().__getitem__(torch.tensor(index) if isinstance(index, list) else index)

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return done(func, args, kwargs or {})


class Mps(TorchDispatchMode):
    """While it is entered, what is made on or moved to THERE is posed."""

    def __enter__(self):
        self.entered = contextlib.ExitStack()
        before = torch._C._only_lift_cpu_tensors()
        self.entered.callback(torch._C._set_only_lift_cpu_tensors, before)
        torch._C._set_only_lift_cpu_tensors(True)  # torch.tensor(…, device=THERE): made here, then moved: we see it
        for name in ("__enter__", "__exit__"):  # torch refuses views of a subclass under inference_mode, not on MPS
            self.entered.enter_context(mock.patch.object(torch.inference_mode, name, getattr(torch.no_grad, name)))
        return super().__enter__()

    def __exit__(self, *raised):
        self.entered.close()
        return super().__exit__(*raised)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return done(func, args, kwargs or {})


def done(func, args, kwargs):
    name, asked = func.overloadpacket.__name__, kwargs.get("device")
    given = [value for value in tree_leaves((args, kwargs)) if isinstance(value, torch.Tensor)]
    posed = any(isinstance(value, Posed) for value in given)
    there = asked.type in ("mps", "meta") if asked is not None else posed
    if posed or there:
        if not has_kernel(func):
            raise Refused(f"{func} has no MPS kernel")
        if posed and name not in MIXED and any(not isinstance(value, Posed) and value.dim() for value in given):
            raise Refused(f"{func} of tensors on two devices")
    if asked is not None:
        kwargs = kwargs | {"device": torch.device("cpu")}
    if name == "_to_copy" and posed and not there and kwargs.get("dtype") in WIDE:
        raise Refused("a move that makes float64 on the way")
    plain_args, plain_kwargs = tree_map_only(Posed, lambda value: value.values, (args, kwargs))
    made = func(*plain_args, **plain_kwargs)
    if not there:
        return made
    known = {id(value.values if isinstance(value, Posed) else value): value for value in given}  # what was written to
    return tree_map_only(torch.Tensor, lambda value: known[id(value)] if id(value) in known else Posed(value), made)


@functools.cache
def has_kernel(func) -> bool:
    """Whether MPS has a kernel for an operator. Operators of other libraries have none."""
    if func.namespace != "aten":
        return func.namespace == "prim"
    name = func.__name__.removesuffix(".default")
    entry = kernels().get(name)
    return entry is None or any(key in ANYWHERE for key in entry)  # None: torch makes it of others (torchgen's autogen)


@functools.cache
def kernels() -> dict[str, list[str] | None]:
    """{operator: the backends that have a kernel of their own}; None: it is made of other operators."""
    entries = {entry["func"].partition("(")[0]: entry for entry in yaml.load(TABLE.read_text(), yaml.CSafeLoader)}

    def of(entry):
        if "structured_delegate" in entry:
            entry = entries[entry["structured_delegate"]]
        keys = entry.get("dispatch")
        return keys and [key.strip() for names in keys for key in names.split(",")]

    return {name: of(entry) for name, entry in entries.items()}
