# Threads and forked workers that decompose matrices, the same ones in each: numpy_workers.py OUT.
import concurrent.futures
import multiprocessing
import sys

import numpy


def work(n):
    a = numpy.random.default_rng(n).standard_normal((40 + n, 40))
    u, s, v = numpy.linalg.svd(a, full_matrices=False)
    return u.tobytes() + s.tobytes() + v.tobytes() + numpy.linalg.solve(a[:40], a[:40, :3]).tobytes()


if __name__ == "__main__":
    with open(sys.argv[1], "wb") as out:
        out.write(work(0))
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            for result in pool.map(work, list(range(8)) * 2):
                out.write(result)
        with multiprocessing.get_context("fork").Pool(2) as pool:
            for result in pool.map(work, list(range(8)) * 2):
                out.write(result)
