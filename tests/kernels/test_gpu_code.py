"""The fused GPU kernels compiled to machine code of a real GPU (Hopper): no GPU is needed for that."""

import pytest

triton = pytest.importorskip("triton")
from triton.backends.compiler import GPUTarget  # noqa: E402
from triton.compiler import ASTSource  # noqa: E402

from tilesim.kernels import gpu, gpuslopes  # noqa: E402

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


@pytest.mark.filterwarnings("ignore:TRITON")
@pytest.mark.parametrize(
    "shape, single, interpolate, parts, every",
    [(0, True, False, 0, True), (1, False, False, 0, True), (2, True, False, 0, True), (4, False, True, 2, False)],
)
def test_derivatives_compile(shape, single, interpolate, parts, every, tmp_path, monkeypatch):
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    kernel = gpuslopes._add_slopes
    chosen = {"SHAPE": shape, "SINGLE": single, "INTERPOLATE": interpolate, "PARTS": parts, "BLOCK": gpu.BLOCK}
    chosen |= dict.fromkeys(("CELL", "SIZE", "SPINDLE"), every) | {"GEOMETRY": True, "ANGLES": 3 * every}
    kinds = {name: "*fp64" for name in kernel.arg_names}
    kinds |= dict.fromkeys(("pixels", "orientations"), "i32") | dict.fromkeys(chosen, "constexpr")
    kinds["squares"] = kinds["parts"] = "*fp32" if single else "*fp64"
    compiled = triton.compile(ASTSource(kernel, kinds, constexprs=chosen), target=HOPPER)
    assert len(compiled.asm["cubin"]) > 10000
    assert compiled.metadata.shared == 0
    assert single or "cvt.f64.f32" not in compiled.asm["ptx"]  # no number of the formulas is float32
