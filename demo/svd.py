"""Singular values of two random matrices, and how long they took. Knows nothing of taskcache."""
import sys
import time

import numpy

random = numpy.random.default_rng(2024)
times = []
results = []
for rows, columns in ((600, 600), (600, 300)):
    matrix = random.standard_normal((rows, columns))
    start = time.perf_counter()
    results += numpy.linalg.svd(matrix)
    times.append(f"{rows} x {columns} in {(time.perf_counter() - start) * 1e3:.1f} ms")
print(", ".join(times))
with open(sys.argv[1], "wb") as out:
    for r in results:
        out.write(r.tobytes())
