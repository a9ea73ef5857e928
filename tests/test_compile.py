"""Compiling what Brian2's makefile lists in a few files, and saying so where only the makefile itself does it."""

from __future__ import annotations

import subprocess
import warnings
from pathlib import Path

import pytest

from brianlearn.brian.cpp.compile import compile_project
from brianlearn.errors import BrianLearnWarning, DeviceError

pytestmark = pytest.mark.cpp_standalone

# as the makefiles of Brian2 are, with a list of sources that goes on in the next line
MAKEFILE = """PROGRAM = main

SRCS = brianlib/queue.cpp code_objects/one.cpp \\
    code_objects/two.cpp main.cpp
H_SRCS = queue.h
OBJS = ${SRCS:.cpp=.o}
OPTIMISATIONS = -O1 -w
CXXFLAGS = -c -Wno-write-strings $(OPTIMISATIONS) -I.
LFLAGS = -lm

$(PROGRAM): $(OBJS) makefile
\t$(CXX) $(OBJS) -o $(PROGRAM) $(LFLAGS)

%.o : %.cpp makefile
\t$(CXX) $(CXXFLAGS) $< -o $@
"""
CODE_OBJECT = """#include "queue.h"
namespace {
    int helper() { return NUMBER; }
}
int NAME() {
    using namespace brian;
    return helper() + queue();
}
"""
FILES = {
    "makefile": MAKEFILE,
    "queue.h": "namespace brian { int queue(); }\n",
    "brianlib/queue.cpp": '#include "queue.h"\nint brian::queue() { return 100; }\n',
    "main.cpp": '#include <cstdio>\nint one(); int two();\nint main() { std::printf("%d %d", one(), two()); }\n',
    "code_objects/one.cpp": CODE_OBJECT.replace("NAME", "one").replace("NUMBER", "1"),
    "code_objects/two.cpp": CODE_OBJECT.replace("NAME", "two").replace("NUMBER", "2"),
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project like Brian2's, all of whose code objects come into one file."""
    monkeypatch.setattr("brianlearn.brian.cpp.compile.core_count", lambda: 1)
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def said(folder: Path) -> str:
    return subprocess.run([str(folder / "main")], capture_output=True, text=True, check=True).stdout


def test_all_that_the_makefile_lists_is_compiled(project: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compile_project(project)
    assert said(project) == "101 102"
    assert not list((project / "code_objects").glob("*.o")), "the makefile was not needed"


def test_a_fallback_is_said_with_the_compilers_message(project: Path) -> None:
    for path in (project / "code_objects").iterdir():  # legal in files of their own, not in one
        path.write_text("static int counter = 0;\n" + path.read_text())
    with pytest.warns(BrianLearnWarning, match=r"makefile.*several times the time.*error: redefinition of .*counter"):
        compile_project(project)
    assert said(project) == "101 102"


def test_what_cannot_be_compiled_is_an_error(project: Path) -> None:
    (project / "main.cpp").write_text("int main() { return missing(); }\n")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(DeviceError, match="missing"):
            compile_project(project)
