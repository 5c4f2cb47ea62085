"""Modules that are run as a whole in namespaces of their own, with one line of JSON as their result."""

import json
import subprocess
from collections.abc import Sequence
from typing import Any

from compat.sidebyside.namespaces import ROOT, command


def run(module: str, arguments: Sequence[str], timeout: float = 300.0) -> Any:
    """Run ``python -m module`` and return what it says.

    Raises:
        subprocess.SubprocessError: it failed, or took too long.
    """
    done = subprocess.run(
        command(module, arguments), cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=timeout, check=True
    )
    return json.loads(done.stdout)
