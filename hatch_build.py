"""Builds the web pages into wheels and source distributions, so that installing needs no Node.js.

An editable installation gets none: `scripts/gui` builds them there.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

# scripts/install sets it: what it installs is editable, and Node.js would be fetched in vain.
_SKIP = "ATLAS_BUILD_WITHOUT_GUI"


class GuiHook(BuildHookInterface[Any]):
    """Hatchling's hook; pyproject.toml names this file."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Return Node.js as a package where it is needed and absent."""
        build = _build_module(self.root)
        if os.environ.get(_SKIP) or build.is_fresh() or build.has_node():
            return []
        return [build.NODE_PACKAGE]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the pages and have them packed."""
        if version == "editable" or os.environ.get(_SKIP):
            return
        _build_module(self.root).main()
        build_data["artifacts"].append("/src/atlas_server/gui_dist/**")


def _build_module(root: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location("gui_build", Path(root) / "gui" / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
