# What scipy's linalg makes of random matrices, as bytes, in the file that is named.
import sys

import numpy
import scipy.linalg

random = numpy.random.default_rng(11)
out = open(sys.argv[1], "wb")


def keep(results):
    for r in results if isinstance(results, (tuple, list)) else (results,):
        if r is not None:
            out.write(numpy.ascontiguousarray(r).tobytes())


def matrix(m, n, kind):
    a = random.standard_normal((m, n))
    if numpy.dtype(kind).kind == "c":
        a = a + 1j * random.standard_normal((m, n))
    return numpy.asfortranarray(a.astype(kind))


for kind in ("f4", "f8", "c8", "c16"):
    for m, n in ((29, 13), (13, 29), (18, 18)):
        for driver in ("gesdd", "gesvd"):
            for full in (True, False):
                keep(scipy.linalg.svd(matrix(m, n, kind), full_matrices=full, lapack_driver=driver))
            keep(scipy.linalg.svd(matrix(m, n, kind), compute_uv=False, lapack_driver=driver))
        keep(scipy.linalg.qr(matrix(m, n, kind), mode="economic"))
        keep(scipy.linalg.lu_factor(matrix(m, m, kind)))
    a = matrix(21, 21, kind)
    symmetric = a + a.conj().T
    for lower in (True, False):
        keep(scipy.linalg.eigh(symmetric, lower=lower, driver="evd"))
        keep(scipy.linalg.eigh(symmetric, lower=lower, driver="evr"))
        keep(scipy.linalg.eigh(symmetric, lower=lower, driver="evr", subset_by_index=[2, 9]))
        keep(scipy.linalg.eigh(symmetric, lower=lower, driver="evr", eigvals_only=True, subset_by_value=[-3, 3]))
        keep(scipy.linalg.cho_factor(symmetric + 60 * numpy.eye(21, dtype=kind), lower=lower))
    keep(scipy.linalg.eig(a, left=True, right=True))
    keep(scipy.linalg.lstsq(matrix(30, 8, kind), matrix(30, 3, kind), lapack_driver="gelsd"))
