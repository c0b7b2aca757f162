# Calls LAPACK's drivers as they are in a library: lapack_calls.py OUT LIBRARY PREFIX SUFFIX BITS. Random matrices with gaps between the columns;
# everything but the workspaces goes into OUT, the gaps too.
import ctypes
import random
import sys

out = open(sys.argv[1], "wb")
library = ctypes.CDLL(sys.argv[2])
prefix, suffix, bits = sys.argv[3], sys.argv[4], int(sys.argv[5])
integer = ctypes.c_int64 if bits == 64 else ctypes.c_int32
random.seed(13)


def call(t, name, *args):
    """An argument: a letter, an integer, or a buffer. Buffers that are no scratch are kept."""
    f = getattr(library, prefix + t + name + suffix)
    f.restype = None
    values, lengths = [], []
    for a in args:
        if isinstance(a, str):
            values.append(ctypes.byref(ctypes.c_char(a.encode())))
            lengths.append(ctypes.c_size_t(1))
        elif isinstance(a, int):
            values.append(ctypes.byref(integer(a)))
        else:
            values.append(a)
    f(*values, *lengths)
    for a in args:
        if not isinstance(a, (str, int)) and not getattr(a, "scratch", False):
            out.write(bytes(a))


def real(t):
    return ctypes.c_float if t in "sc" else ctypes.c_double


def room(t, n, fill=0.0):
    parts = n * (2 if t in "cz" else 1)
    return (real(t) * parts)(*[fill or random.uniform(-1, 1) for _ in range(parts)])


def rooms(t, n):
    return (real(t) * n)()


def integers(n):
    return (integer * n)()


def scratch(a):
    class Scratch(type(a)):
        scratch = True
    return Scratch()


def info():
    return (integer * 1)()


def work(t, n=4000):
    return scratch(room(t, n, 1.0))


for t in "sdcz":
    complex_ = t in "cz"
    rwork = [scratch(rooms(t, 4000))] if complex_ else []
    sized = [scratch(rooms(t, 4000)), 4000] if complex_ else []
    for m, n in ((11, 7), (7, 11), (9, 9)):
        lda, ldb, small = m + 3, max(m, n) + 2, min(m, n)
        for jobz in "ASONa":
            call(t, "gesdd", jobz, m, n, room(t, lda * n), lda, rooms(t, small), room(t, lda * m), lda, room(t, ldb * n), ldb, work(t), 4000,
                 *rwork, scratch(integers(200)), info())
        for jobs in ("AA", "SO", "ON", "NS"):
            call(t, "gesvd", *jobs, m, n, room(t, lda * n), lda, rooms(t, small), room(t, lda * m), lda, room(t, ldb * n), ldb, work(t), 4000,
                 *rwork, info())
        call(t, "getrf", m, n, room(t, lda * n), lda, integers(small), info())
        call(t, "geqrf", m, n, room(t, lda * n), lda, room(t, small), work(t), 4000, info())
        call(t, "gelsd", m, n, 2, room(t, lda * n), lda, room(t, ldb * 2), ldb, rooms(t, small), (real(t) * 1)(-1), integers(1), work(t), 4000,
             *rwork, scratch(integers(900)), info())
        call(t, "ungqr" if complex_ else "orgqr", m, small, small, room(t, lda * small), lda, room(t, small), work(t), 4000, info())
    n, lda = 10, 13
    symmetric = "he" if complex_ else "sy"
    for jobz, uplo in ("VU", "NL", "vl"):
        call(t, symmetric + "ev", jobz, uplo, n, room(t, lda * n), lda, rooms(t, n), work(t), 4000, *rwork, info())
        call(t, symmetric + "evd", jobz, uplo, n, room(t, lda * n), lda, rooms(t, n), work(t), 4000, *sized, scratch(integers(200)), 200, info())
        for span in "AI":
            call(t, symmetric + "evr", jobz, span, uplo, n, room(t, lda * n), lda, rooms(t, 1), rooms(t, 1), 2, 6, rooms(t, 1), integers(1),
                 scratch(rooms(t, n)), room(t, lda * n), lda, scratch(integers(2 * n)), work(t), 4000, *sized, scratch(integers(200)), 200, info())
    eigenvalues = [room(t, n)] if complex_ else [room(t, n), room(t, n)]
    for jobs in ("VV", "NV", "NN"):
        call(t, "geev", *jobs, n, room(t, lda * n), lda, *eigenvalues, room(t, lda * n), lda, room(t, lda * n), lda, work(t), 4000, *rwork, info())
    call(t, "geevx", "B", "V", "V", "B", n, room(t, lda * n), lda, *eigenvalues, room(t, lda * n), lda, room(t, lda * n), lda, integers(1),
         integers(1), rooms(t, n), rooms(t, 1), rooms(t, n), rooms(t, n), work(t), 4000, *(rwork or [scratch(integers(200))]), info())
    call(t, "gesv", n, 3, room(t, lda * n), lda, integers(n), room(t, lda * 3), lda, info())
    a = room(t, lda * n)
    for i in range(n):
        a[(2 if complex_ else 1) * i * (lda + 1)] += 40
    call(t, "potrf", "U", n, a, lda, info())
    call(t, "potrf", "L", n, room(t, lda * n), lda, info())
