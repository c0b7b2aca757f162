# What numpy's linalg makes of random matrices, as bytes, in the file that is named.
import sys

import numpy

random = numpy.random.default_rng(7)
out = open(sys.argv[1], "wb")


def keep(results):
    for r in results if isinstance(results, tuple) else (results,):
        out.write(numpy.ascontiguousarray(r).tobytes())


def matrix(m, n, kind):
    a = random.standard_normal((m, n))
    if numpy.dtype(kind).kind == "c":
        a = a + 1j * random.standard_normal((m, n))
    return a.astype(kind)


for kind in ("f4", "f8", "c8", "c16"):
    for m, n in ((31, 17), (17, 31), (24, 24), (1, 5), (6, 1)):
        a = matrix(m, n, kind)
        for full in (True, False):
            keep(tuple(numpy.linalg.svd(a, full_matrices=full)))
        keep(numpy.linalg.svd(a, compute_uv=False))
        # "complete" of a tall one hands LAPACK columns that nobody wrote.
        for mode in ("reduced", "complete" if m <= n else "reduced", "r"):
            keep(tuple(numpy.linalg.qr(a, mode)) if mode != "r" else numpy.linalg.qr(a, mode))
    for m, n, rhs in ((31, 17, 3), (20, 20, 1)):
        keep(tuple(numpy.linalg.lstsq(matrix(m, n, kind), matrix(m, rhs, kind), rcond=None)))
    a = matrix(23, 23, kind)
    symmetric = a + a.conj().T
    for uplo in "LU":
        keep(tuple(numpy.linalg.eigh(symmetric, uplo)))
        keep(numpy.linalg.eigvalsh(symmetric, uplo))
    keep(tuple(numpy.linalg.eig(a)))
    keep(numpy.linalg.eigvals(a))
    keep(numpy.linalg.solve(a, matrix(23, 4, kind)))
    keep(numpy.linalg.inv(a))
    keep(numpy.linalg.det(a))
    keep(tuple(numpy.linalg.slogdet(numpy.zeros((4, 4), kind))))
    keep(numpy.linalg.cholesky(symmetric + 60 * numpy.eye(23, dtype=kind)))
    try:
        numpy.linalg.cholesky(symmetric)
    except numpy.linalg.LinAlgError as e:
        out.write(str(e).encode())
