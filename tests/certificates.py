"""Keys and certificates for tests, made with openssl when they are wanted."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import NamedTuple

_NEW_KEY = ("-newkey", "ec", "-nodes", "-pkeyopt", "ec_paramgen_curve:prime256v1")


class Pair(NamedTuple):
    """A certificate and its key, as PEM files."""

    certificate: Path
    key: Path


class Authority:
    """Signs certificates, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(exist_ok=True)
        self.certificate, self._key = folder / "ca.pem", folder / "ca.key"
        line = ["req", "-x509", *_NEW_KEY, "-days", "2", "-subj", f"/CN={folder.name}"]
        line += ["-addext", "basicConstraints=critical,CA:true"]
        _openssl(*line, "-keyout", self._key, "-out", self.certificate)

    def sign(self, name: str, *, days: int = 2) -> Pair:
        """A certificate for a host, or a client, of this name; not valid any more if `days` is < 0."""
        pair = Pair(self._folder / f"{name}.pem", self._folder / f"{name}.key")
        request, names = self._folder / f"{name}.csr", self._folder / f"{name}.ext"
        names.write_text(f"subjectAltName=DNS:{name}\n", encoding="ascii")
        _openssl("req", *_NEW_KEY, "-subj", f"/CN={name}", "-keyout", pair.key, "-out", request)
        line: list[str | Path] = [
            "x509",
            "-req",
            "-in",
            request,
            "-CA",
            self.certificate,
            "-CAkey",
            self._key,
        ]
        line += ["-CAcreateserial", "-days", str(days), "-extfile", names]
        _openssl(*line, "-out", pair.certificate)
        return pair


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)
