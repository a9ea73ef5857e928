"""C++ statements with which a generated program reads its inputs from files, before it runs.

Brian2 writes initial values into the program's folder when it generates the program. These statements come after
Brian2's own and replace the values by those of the files ``inputs/<name>``, so that one program runs with other
weights, data and parameters. The files hold plain binary numbers of the variable's type.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from brian2.codegen.generators.cpp_generator import c_data_type

__all__ = ["FOLDER", "read_array", "read_list"]

#: The folder beside the program's working folder in which it looks for its inputs.
FOLDER = "inputs"


def read_array(key: str, pointer: str, dtype: Any, size: int) -> str:
    """Statements that read ``size`` numbers into memory that is there.

    Parameters
    ----------
    key : str
        Name of the file.
    pointer : str
        C++ expression for the first element.
    dtype : dtype
    size : int
    """
    kind = c_data_type(np.dtype(dtype))
    return f"""{{
    FILE* file = std::fopen("{FOLDER}/{key}", "rb");
    if (file == nullptr || std::fread({pointer}, sizeof({kind}), {size}, file) != {size}) {{
        std::fprintf(stderr, "Error: cannot read {size} numbers from {FOLDER}/{key}\\n");
        std::exit(1);
    }}
    std::fclose(file);
}}"""


def read_list(key: str, vectors: Mapping[str, str], dtype: Any) -> str:
    """Statements that read numbers into vectors, as many as the files have.

    Parameters
    ----------
    key : str
        Common part of the files' names ``<key>.<name>``.
    vectors : mapping
        Name -> C++ expression for a ``std::vector``.
    dtype : dtype
    """
    kind = c_data_type(np.dtype(dtype))
    parts = []
    for name, vector in vectors.items():
        path = f"{FOLDER}/{key}.{name}"
        parts.append(f"""{{
    FILE* file = std::fopen("{path}", "rb");
    if (file == nullptr) {{ std::fprintf(stderr, "Error: cannot read {path}\\n"); std::exit(1); }}
    std::fseek(file, 0, SEEK_END);
    const size_t n = std::ftell(file)/sizeof({kind});
    std::rewind(file);
    {vector}.resize(n);
    if (std::fread({vector}.data(), sizeof({kind}), n, file) != n) {{
        std::fprintf(stderr, "Error: cannot read {path}\\n");
        std::exit(1);
    }}
    std::fclose(file);
}}""")
    return "\n".join(parts)
