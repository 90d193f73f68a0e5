"""The environment: interpreter, packages and how they fit together, include paths, apt_pkg."""

from __future__ import annotations

import importlib
import importlib.util
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Final

from paycli.doctor.checks import Finding, Verdict, ok
from paycli.errors import InputError
from paycli.storage.records import Repair
from paycli.toolchain.gen.runtime_skew import installed_version, release
from paycli.toolchain.protos.workspace import Workspace

_OLDEST_PYTHON: Final = (3, 11)
_PACKAGES: Final = ("grpcio", "grpcio-tools", "protobuf")
_REQUIREMENT: Final = re.compile(r"(?P<name>[\w.-]+)\s*\(?(?P<bounds>[^;)]*)")
_BOUND: Final = re.compile(r"(?P<sign>>=|<)\s*(?P<version>[\d.]+)")
_INCLUDES: Final = {
    "google/protobuf/timestamp.proto": "grpcio-tools",
    "google/rpc/status.proto": "googleapis-common-protos",
}
_SYSTEM_PYTHON: Final = "/usr/bin/python3"
_APT_PKG: Final = "apt_pkg"
_APT_PACKAGE: Final = "python3-apt"


def check_interpreter(version: Sequence[int] = sys.version_info[:3]) -> Finding:
    """Whether the interpreter is new enough."""
    found = f"Python {'.'.join(map(str, version))}"
    wanted = f"{_OLDEST_PYTHON[0]}.{_OLDEST_PYTHON[1]}"
    if tuple(version) >= _OLDEST_PYTHON:
        return ok(f"{found} at {sys.executable}.")
    return Finding(
        Verdict.FAIL,
        f"{found} at {sys.executable} is too old; paycli needs {wanted} or newer.",
        f"python{wanted} -m venv .venv && .venv/bin/pip install paycli",
    )


def check_packages() -> Finding:
    """Whether grpcio, grpcio-tools and protobuf are there and take one another."""
    versions = {package: installed_version(package) for package in _PACKAGES}
    missing = [package for package, version in versions.items() if version is None]
    if missing:
        listed = " and ".join(missing)
        return Finding(Verdict.FAIL, f"{listed} is not installed.", _install(*missing))
    for package in ("paycli", *_PACKAGES):
        for requirement in metadata.requires(package) or ():
            found = _REQUIREMENT.match(requirement)
            installed = versions.get(found["name"]) if found else None
            if found is None or installed is None or "extra ==" in requirement:
                continue
            if not _fits(installed, found["bounds"]):
                wanted = f"{found['name']}{found['bounds'].strip()}"
                return Finding(
                    Verdict.FAIL,
                    f"{package} needs {wanted}, but {installed} is installed.",
                    _install(wanted),
                )
    return ok(", ".join(f"{package} {version}" for package, version in versions.items()) + ".")


def check_includes() -> Finding:
    """Whether `google/...` imports of protos are found."""
    nothing_of_our_own = Workspace((), ())
    for name, package in _INCLUDES.items():
        if nothing_of_our_own.imported_path(name) is None:
            return Finding(
                Verdict.FAIL,
                f'import "{name}" will not be found: {package} has it.',
                _install("--force-reinstall", package),
            )
    return ok("google/protobuf and google/rpc are found.")


def check_apt_pkg() -> Finding | None:
    """Whether an environment sees apt_pkg, on a system where python3-apt is installed.

    apt's own Python tools need it, and a virtual environment hides it: a classic. paycli does not
    need it, so this is for information only. Nothing is said anywhere else.
    """
    if sys.prefix == sys.base_prefix or not _is_installed(_APT_PACKAGE):
        return None
    importlib.invalidate_caches()  # it may have been linked a moment ago
    if importlib.util.find_spec(_APT_PKG):
        return ok("apt_pkg can be imported.")
    module = _apt_pkg_of_the_system()
    if module is None:
        return _info(
            f"{_SYSTEM_PYTHON} itself cannot import it: it is another Python than the system's."
        )
    link = Path(sysconfig.get_path("platlib"), module.name)
    if not module.name.endswith((sysconfig.get_config_var("EXT_SUFFIX"), ".abi3.so")):
        return _info(
            f"{module} is made for another Python than this one.",
            f"{_SYSTEM_PYTHON} -m venv --system-site-packages .venv",
        )
    return _info(
        f"{module} is not in this environment.",
        shlex.join(["ln", "-sf", str(module), str(link)]),
        Repair(f"Linking {module} into {link.parent}.", lambda: _link(module, link)),
    )


def _info(why: str, command: str = "", repair: Repair | None = None) -> Finding:
    said = f"apt_pkg cannot be imported: {why} Only programs that use {_APT_PACKAGE} need it."
    return Finding(Verdict.INFO, said, command, repair)


def _is_installed(package: str) -> bool:
    """Whether dpkg, if there is one, has a package of the system."""
    if shutil.which("dpkg-query") is None:
        return False
    asked = subprocess.run(
        ["dpkg-query", "--show", "--showformat", "${db:Status-Status}", package],
        capture_output=True,
        text=True,
        check=False,
    )
    return asked.returncode == 0 and asked.stdout == "installed"


def _install(*packages: str) -> str:
    return shlex.join([sys.executable, "-m", "pip", "install", *packages])


def _fits(installed: str, bounds: str) -> bool:
    for bound in _BOUND.finditer(bounds):
        new_enough = release(installed) >= release(bound["version"])
        if new_enough != (bound["sign"] == ">="):
            return False
    return True


def _apt_pkg_of_the_system() -> Path | None:
    if not Path(_SYSTEM_PYTHON).exists():
        return None
    program = f"import {_APT_PKG}; print({_APT_PKG}.__file__)"
    asked = subprocess.run(
        [_SYSTEM_PYTHON, "-I", "-c", program], capture_output=True, text=True, check=False
    )
    return Path(asked.stdout.strip()) if asked.returncode == 0 else None


def _link(module: Path, link: Path) -> None:
    try:
        link.unlink(missing_ok=True)  # a link into nowhere
        link.symlink_to(module)
    except OSError as problem:
        raise InputError(f"Cannot link {link}: {problem.strerror}.") from problem
    trial = [sys.executable, "-c", f"import {_APT_PKG}"]
    if subprocess.run(trial, capture_output=True, check=False).returncode:
        link.unlink()
        raise InputError(f"{module} does not load in this Python; the link is taken away again.")
