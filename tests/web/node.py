"""The static site's modules in node, for tests that need no browser."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest

from allfocus.web.site import PAGE

NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="node is not installed")
MODULES = ("tiling", "measure", "residual", "pipeline", "png", "metadata")


def in_node(code: str, **given: object) -> object:
    """What a function body computes; `given` and the modules are at hand."""
    imports = "".join(f"import * as {name} from '{(PAGE / 'browser' / f'{name}.js').as_uri()}';" for name in MODULES)
    given_text = "import { readFileSync } from 'node:fs'; const given = JSON.parse(readFileSync(0, 'utf8'));"
    text = f"{imports} {given_text} console.log(JSON.stringify(await (async () => {{ {code} }})()));"
    assert NODE is not None
    command = [NODE, "--input-type=module", "-e", text]
    done = subprocess.run(command, input=json.dumps(given), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
