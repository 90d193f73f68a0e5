"""Names of protos of which no Python module can be made, or only one for two of them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from paycli.errors import InputError
from paycli.toolchain.protos.python_names import module_of
from paycli.toolchain.protos.workspace import Workspace

_UNSAFE: Final = re.compile(r"""['"\\{}\0-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]""")


def stem_of(proto_name: str) -> str:
    """What the names of all files begin with that are made of a proto: `acme/pay/v1/pay_pb2`."""
    return module_of(proto_name).replace(".", "/")


def refuse_unfit_names(names: Iterable[str], workspace: Workspace) -> None:
    """Raises InputError for the first name that cannot become a module of its own."""
    in_order = sorted(names)
    _refuse_unsafe_names(in_order)
    _refuse_one_module_for_two(in_order, workspace)


def _refuse_unsafe_names(names: Iterable[str]) -> None:
    """protoc writes paths into comments and strings of its code as they are."""
    for name in names:
        if unsafe := _UNSAFE.search(name):
            raise InputError(
                f"{name!r}: the path of a proto becomes text in Python code, where {unsafe[0]!r} "
                "has a meaning. Rename the file or the folder."
            )


def _refuse_one_module_for_two(names: Iterable[str], workspace: Workspace) -> None:
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(module_of(name), name)
        if other != name:
            raise InputError(
                f"{workspace.path_of(name)}: {workspace.path_of(other)} becomes the same Python "
                f"module, {stem_of(name)}.py. Rename one of them."
            )
