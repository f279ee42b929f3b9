"""The compiled kernels: built once at set-up where a C++ compiler is there.

    python -m recsweep.training.fast.build

They lie beside the environment's packages, in a folder named after all that they depend on: sources,
torch, flags and this processor. Where that folder is missing, training takes the Python path.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import os
import platform
import shutil
import sys
from functools import cache
from pathlib import Path

from recsweep.training.fast import gemm

SOURCES = Path(__file__).parent / "native"
LIBRARY = "recsweep_kernels"
# Sums may be taken in another order and divisions become products; NaN and infinity stay what they are.
FLAGS = (
    "-O3",
    "-std=c++20",
    "-fopenmp",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fno-signed-zeros",
    "-fassociative-math",
    "-freciprocal-math",
)
_WIDE_VECTORS = "-mprefer-vector-width=512"
SWITCH = "RECSWEEP_VECTORS"
"""Environment variable: `avx2` makes, and takes, kernels without AVX-512 where the processor has it."""
_AVX2 = "-march=x86-64-v3"


def main() -> int:
    """Build what is missing. A failure is told and is no error: the Python path stays."""
    if library().is_file():
        return 0
    why = missing_tools()
    if why is None:
        sys.stderr.write("recsweep set-up: compiled kernels (about a minute)\n")
        why = build()
    if why is not None:
        sys.stderr.write(
            f"recsweep set-up: no compiled kernels: {why}; training takes the slower Python path\n"
        )
    return 0


def library() -> Path:
    """Where the kernels for this environment and processor are, or would be."""
    return Path(sys.prefix) / "share" / "recsweep" / _key() / f"{LIBRARY}.so"


def missing_tools() -> str | None:
    """The obstacle to building the kernels, or None."""
    if platform.system() != "Linux" or platform.machine() not in ("x86_64", "AMD64"):
        return "they are made for Linux on x86_64"
    compiler = os.environ.get("CXX", "c++")
    if shutil.which(compiler) is None:
        return f"there is no C++ compiler ({compiler})"
    return None if shutil.which("ninja", path=_path()) else "there is no ninja"


def build() -> str | None:
    """Compile into a folder of this process, measure the products, then move it into place.

    Returns:
        What went wrong, or None.
    """
    folder = library().parent
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        _compile(temporary)
        with contextlib.suppress(OSError):  # another process was faster
            os.rename(temporary, folder)
    except Exception as error:  # the compiler's message, torch's, the loader's: whatever it is, it is told
        return str(error).strip().splitlines()[-1][:300]
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return None if library().is_file() else f"{folder} could not be written"


def _compile(folder: Path) -> None:
    from torch.utils.cpp_extension import load

    os.environ["PATH"] = _path()
    load(
        name=LIBRARY,
        sources=[str(path) for path in sorted(SOURCES.glob("*.cpp"))],
        extra_cflags=list(flags()),
        build_directory=str(folder),
        is_python_module=False,
    )
    import torch

    gemm.measure(torch.ops.recsweep, folder)


def flags() -> tuple[str, ...]:
    """The flags of the compiler."""
    if os.environ.get(SWITCH) == "avx2":
        return (*FLAGS, _AVX2)
    own = (*FLAGS, "-march=native")
    return (*own, _WIDE_VECTORS) if "avx512f" in processor() else own


def _path() -> str:
    """The environment's own programs first: ninja comes with the packages."""
    return os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))


@cache
def processor() -> str:
    """The abilities of this processor; a library made for one may not run on another."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("flags"):
                return " ".join(sorted(line.partition(":")[2].split()))
    return platform.processor()


@cache
def _key() -> str:
    digest = hashlib.sha256()
    for path in sorted((*SOURCES.glob("*.cpp"), *SOURCES.glob("*.h"))):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    digest.update("\0".join((importlib.metadata.version("torch"), processor(), *flags())).encode())
    return digest.hexdigest()[:32]


if __name__ == "__main__":
    sys.exit(main())
