"""The arithmetic behind the tables, and the loops behind the peaks."""

import sys

import numpy as np
import pytest

from benchmarks.accuracy import cosines, pair_correlation, spearman
from benchmarks.kernels import Matmul
from benchmarks.memory import peak_memory, resident_memory, write_lines
from benchmarks.peak import Peak
from benchmarks.sentiment import compare
from benchmarks.tables import percent_of_peak, print_table
from edgebert.engine.library import load_library
from edgebert.kernels.plan import INT16_STEPS
from edgebert.kernels.simd.families import FAMILIES, MATRIX
from edgebert.loading import DEFAULT_MODEL
from tests.selection import AVAILABLE

MIB = 2**20


def test_cosines():
    x = np.array([[3, 4], [1, 0], [1, 1]], np.float32)
    y = np.array([[6, 8], [0, 5], [-2, -2]], np.float32)
    np.testing.assert_allclose(cosines(x, y), [1, 0, -1], atol=1e-12)


def test_spearman_sees_order_alone_and_shares_ranks():
    assert spearman([1, 2, 3, 4], [1, 10, 100, 1000]) == pytest.approx(1)
    assert spearman([1, 2, 3, 4], [9, 7, 5, 3]) == pytest.approx(-1)
    # Ranks 1, 2.5, 2.5, 4 and 1, 3, 2, 4.
    assert spearman([1, 2, 2, 3], [1, 3, 2, 4]) == pytest.approx(0.9486832980505138)


def test_pairs_are_neighbours():
    vectors = np.array([[1, 0], [1, 0], [1, 0], [1, 1], [1, 0], [0, 1]], np.float32)
    assert pair_correlation(vectors, [5.0, 3.0, 0.0]) == pytest.approx(1)


def test_sentiment_counts_by_source():
    labels = np.array([1, 1, 0, 0])
    rows = compare(np.array([1, 0, 0, 0]), np.array([1, 1, 1, 0]), labels, ["a", "a", "b", "b"])
    assert rows == [("a", 2, 0.5, 1.0, 0.5), ("b", 2, 1.0, 0.5, 0.5), ("all", 4, 0.75, 0.75, 0.5)]


def test_a_table_is_aligned(capsys):
    print_table(["engine", "ms"], [["edgebert", 1.5], ["x", "12.25"]])
    assert capsys.readouterr().out.splitlines()[:4] == [
        "| engine   |    ms |",
        "| -------- | ----: |",
        "| edgebert |   1.5 |",
        "| x        | 12.25 |",
    ]


def test_what_cannot_be_is_marked(capsys):
    assert [percent_of_peak(share) for share in (0.5, 1.04, 429.62, -1, float("nan"))] == [
        *("50 %", "104 %", "?? %", "?? %", "?? %")
    ]
    print_table(["layer", "of peak"], [["one", percent_of_peak(429.62)]])
    assert "?? %: more than the peak, which cannot be" in capsys.readouterr().out
    print_table(["layer", "of peak"], [["one", percent_of_peak(0.9)]])
    assert "measure again" not in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_a_loaded_model_takes_little_more_than_its_file():
    """What a MiniLM keeps resident beyond its imports: its file, and at most 40 MB for everything else."""
    imports, loaded, used = resident_memory(DEFAULT_MODEL)
    assert imports < loaded <= used
    assert used - imports <= DEFAULT_MODEL.stat().st_size + 40e6


@pytest.mark.skipif(sys.platform == "win32", reason="needs wait4")
def test_peak_memory_is_the_childs_own():
    ballast = np.ones(300 * MIB, np.uint8)
    small = peak_memory([sys.executable, "-c", "pass"])
    large = peak_memory([sys.executable, "-c", f"b = b'x' * {200 * MIB}; del b"])
    assert ballast[-1] == 1
    assert small < 100 * MIB
    assert 195 * MIB < large - small < 215 * MIB


@pytest.mark.skipif(sys.platform == "win32", reason="needs wait4")
def test_a_command_that_fails_is_an_error():
    with pytest.raises(RuntimeError, match="exited with 3: no luck"):
        peak_memory([sys.executable, "-c", "import sys; print('no luck', file=sys.stderr); sys.exit(3)"])


def test_lines_are_as_many_as_asked_and_the_same_again(tmp_path):
    write_lines(tmp_path / "one", 100)
    write_lines(tmp_path / "two", 100)
    lines = (tmp_path / "one").read_text().splitlines()
    assert len(lines) == 100
    assert all(3 <= len(line.split()) <= 40 for line in lines)
    assert (tmp_path / "two").read_text().splitlines() == lines


@pytest.mark.slow
@pytest.mark.parametrize("int16_steps", INT16_STEPS)
@pytest.mark.parametrize("family", AVAILABLE)
@pytest.mark.parametrize("M", [1, 8, 65])
def test_the_matmul_that_is_timed_is_right(cache_home, M, family, int16_steps):
    matmul = Matmul(load_library(family), M, 64, 48, int16_steps)
    matmul()
    weight = matmul.weight.transpose(1, 3, 0, 2).reshape(64, 48)
    np.testing.assert_array_equal(matmul.out, matmul.x[:M].astype(np.int32) @ weight.astype(np.int32))
    assert matmul.macs == M * 64 * 48


@pytest.mark.parametrize("int16_steps", INT16_STEPS)
@pytest.mark.parametrize("family", [family for family in AVAILABLE if family != "portable"])
def test_a_peaks_products_are_computed_in_its_loop(family, int16_steps):
    peak = Peak(family, int16_steps)
    assert peak.int16_steps == (int16_steps if FAMILIES[family].deep_tile else 1)
    assembly = peak.assembly
    loop = assembly[assembly.index(".LBB0_1:") : assembly.index("jl\t.LBB0_1")]
    instruction = FAMILIES[family].dot.partition("_")[0]
    assert loop.count(f"{instruction}\t") == peak.int16_steps * peak.sums
    reads = 0 if FAMILIES[family].dot == MATRIX else peak.int16_steps
    assert loop.count("(%") == reads, f"nothing but the weights may be read, no register spilled:\n{loop}"
    peak(1000)
    assert peak.macs(1000) == 1000 * peak.sums * peak.macs_of_one
