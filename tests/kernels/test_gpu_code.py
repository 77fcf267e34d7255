"""The fused GPU kernel compiled to machine code of a real GPU (Hopper): no GPU is needed for that."""

import pytest

triton = pytest.importorskip("triton")
from triton.backends.compiler import GPUTarget  # noqa: E402
from triton.compiler import ASTSource  # noqa: E402

from tilesim.kernels import gpu  # noqa: E402

HOPPER = GPUTarget("cuda", 90, 32)


@pytest.mark.filterwarnings("ignore:TRITON")
@pytest.mark.parametrize("single", [True, False])
@pytest.mark.parametrize(
    "shape, interpolate, parts", [*((n, False, 0) for n in range(6)), (0, True, 0), (2, False, 6), (0, True, 2)]
)
def test_every_form_of_it_compiles(shape, interpolate, parts, single, tmp_path, monkeypatch):
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    chosen = {"SHAPE": shape, "SINGLE": single, "INTERPOLATE": interpolate, "PARTS": parts, "BLOCK": gpu.BLOCK}
    kinds = {name: "*fp64" for name in gpu._add_orientations.arg_names}
    kinds |= dict.fromkeys(("pixels", "orientations", "first_number"), "i32") | dict.fromkeys(chosen, "constexpr")
    kinds["squares"] = kinds["parts"] = "*fp32" if single else "*fp64"
    compiled = triton.compile(ASTSource(gpu._add_orientations, kinds, constexprs=chosen), target=HOPPER)
    assert len(compiled.asm["cubin"]) > 10000
    assert compiled.metadata.shared == 0


@pytest.mark.filterwarnings("ignore:TRITON")
@pytest.mark.parametrize("single", [True, False])
def test_diffuse_scattering_compiles(single, tmp_path, monkeypatch):
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    kinds = {name: "*fp64" for name in gpu._add_diffuse.arg_names}
    kinds |= dict.fromkeys(("pixels", "orientations", "rotations", "stencil"), "i32") | {"BLOCK": "constexpr"}
    kinds["squares"] = "*fp32" if single else "*fp64"
    source = ASTSource(gpu._add_diffuse, kinds, constexprs={"BLOCK": gpu.BLOCK})
    assert len(triton.compile(source, target=HOPPER).asm["cubin"]) > 5000
