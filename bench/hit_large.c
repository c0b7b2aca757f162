/*
 * hit_large BYTES CALLS ROUNDS: a hit with BYTES in and out, beside XXH3 and memcpy of as many
 * bytes. A round times CALLS calls. The first line of a first run is of the miss that fills the
 * store.
 */
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "bench/bench.h"

static unsigned long bodies;
static volatile uint64_t sink;

BENCH_FUNCTION void task(const unsigned char *in, size_t n, unsigned char *out);

void task(const unsigned char *in, size_t n, unsigned char *out)
{
    bodies++;
    for (size_t i = 0; i < n; i++)
        out[i] = in[i] ^ 0x5a;
}

static void by_hand(const unsigned char *in, size_t n, const unsigned char *kept,
                    unsigned char *out)
{
    sink ^= XXH3_128bits(in, n).low64;
    memcpy(out, kept, n);
}

int main(int argc, char **argv)
{
    static struct bench_series hit = {"hit"}, hand = {"by_hand"};
    size_t n;
    unsigned calls, rounds;
    unsigned char *in, *out, *kept;

    if (argc != 4)
        return 2;
    n = bench_number(argv[1]);
    calls = bench_number(argv[2]);
    rounds = bench_number(argv[3]);
    in = bench_memory(n);
    out = bench_memory(n);
    kept = bench_memory(n);
    for (int i = 0; i < 40; i++) /* the miss, and the first calls of a task, which look twice */
        task(in, n, out);
    bodies = 0;
    for (unsigned i = 0; i < rounds; i++) {
        double start = bench_now();
        for (unsigned j = 0; j < calls; j++)
            task(in, n, out);
        bench_add(&hit, start, calls);
        start = bench_now();
        for (unsigned j = 0; j < calls; j++)
            by_hand(in, n, kept, out);
        bench_add(&hand, start, calls);
    }
    bench_expect("while measuring", bodies, 0);
    bench_print(&hit);
    bench_print(&hand);
    return 0;
}
