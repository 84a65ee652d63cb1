"""The tree is the architecture: a package imports only packages to its left, and a big library stays in its adapter."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LAYERS = ("features", "training", "serving", "experiments")
HOMES = {
    "feast": ("features/store.py", "features/repo/"),
    "mlflow": ("training/registry.py",),
    "evidently": ("training/drift.py",),
    "bentoml": ("serving/service.py",),
    "sqlalchemy": ("features/ledger/",),
    "adbc_driver_postgresql": ("features/ledger/",),
}


def imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0]


MODULES = [file.relative_to(ROOT).as_posix() for layer in LAYERS for file in sorted((ROOT / layer).rglob("*.py"))]


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_packages_to_its_left(module: str) -> None:
    allowed = LAYERS[: LAYERS.index(module.split("/")[0]) + 1]
    assert {name for name in imports(ROOT / module) if name in (*LAYERS, "tests", "data")} <= set(allowed)


@pytest.mark.parametrize("module", MODULES)
def test_a_big_library_is_imported_only_by_its_adapter(module: str) -> None:
    for library, homes in HOMES.items():
        if not module.startswith(homes):
            assert library not in imports(ROOT / module), f"{library} belongs to {homes}"


@pytest.mark.parametrize("module", [m for m in MODULES if m.startswith("serving/")])
def test_serving_uses_no_data_frames(module: str) -> None:
    assert "pandas" not in imports(ROOT / module)


@pytest.mark.parametrize("module", [m for m in MODULES if m.startswith("features/repo/")])
def test_the_feast_repository_stands_alone(module: str) -> None:
    assert set(imports(ROOT / module)).isdisjoint(LAYERS)


@pytest.mark.parametrize("module", MODULES)
def test_no_module_unpickles(module: str) -> None:
    assert {"pickle", "dill", "joblib", "cloudpickle"}.isdisjoint(imports(ROOT / module))
