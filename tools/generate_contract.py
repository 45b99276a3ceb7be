"""Generate the gRPC code of KEDA's contract, into the repository or, for a comparison, elsewhere.

The generated files are committed, so that neither a user nor the image needs a compiler.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc

CONTRACT = Path(__file__).resolve().parent.parent / "keda_external_scaler" / "contract"
PROTO = "externalscaler.proto"
GENERATED = ("externalscaler_pb2.py", "externalscaler_pb2.pyi", "externalscaler_pb2_grpc.py")

# protoc writes an import that works only with the folder itself on the path; there is no option for it.
_IMPORT_WRITTEN = "import externalscaler_pb2 as externalscaler__pb2"
_IMPORT_WANTED = "from keda_external_scaler.contract import externalscaler_pb2 as externalscaler__pb2"


class GenerationError(RuntimeError):
    """The compiler refused the contract, or wrote something else than expected."""


def generate(into: Path) -> None:
    """Write the files of `GENERATED` into a folder.

    Raises:
        GenerationError: the contract does not compile, or the compiler's output changed its shape.
    """
    arguments = [
        "protoc",
        f"-I{CONTRACT}",
        f"-I{files('grpc_tools') / '_proto'}",
        f"--python_out={into}",
        f"--pyi_out={into}",
        f"--grpc_python_out={into}",
        str(CONTRACT / PROTO),
    ]
    if protoc.main(arguments) != 0:
        raise GenerationError(f"{CONTRACT / PROTO} does not compile; the compiler's message is above")
    stub = into / "externalscaler_pb2_grpc.py"
    text = stub.read_text(encoding="utf-8")
    if _IMPORT_WRITTEN not in text:
        raise GenerationError(f"{stub} has no line {_IMPORT_WRITTEN!r} any more; adapt the rewrite in {__file__}")
    stub.write_text(text.replace(_IMPORT_WRITTEN, _IMPORT_WANTED), encoding="utf-8")


def stale_files() -> list[str]:
    """Names of committed files that differ from what the compiler makes now."""
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder)
        generate(fresh)
        return [name for name in GENERATED if (CONTRACT / name).read_bytes() != (fresh / name).read_bytes()]


def main() -> int:
    """Write the files, or compare them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare only; exit with 1 when a file is out of date")
    if not parser.parse_args().check:
        generate(CONTRACT)
        return 0
    stale = stale_files()
    for name in stale:
        sys.stderr.write(f"{CONTRACT / name} is not what {PROTO} makes now: run `make contract`\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
