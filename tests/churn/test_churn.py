"""Readers of the store while it is rewritten: nothing torn, nothing crashed."""
import re
import subprocess

from harness import Failure, TESTS, equal


def test_readers_while_the_store_is_rewritten(t):
    r = t.execute([t.build / "tests" / "churn" / "churn_readers", "60"], timeout=300)
    print(r.text)
    equal(re.findall(r"torn:?\s+(\d+)|(\d+) torn", r.text) != [], True, r.text)


CHURN = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <stdint.h>
__attribute__((noinline, noclone)) uint64_t pattern(uint32_t key, uint8_t *out, size_t n)
{
    uint64_t s = key * 0x9e3779b97f4a7c15ull + 1;
    for (size_t i = 0; i < n; i++) {
        s = s * 6364136223846793005ull + 1442695040888963407ull;
        out[i] = (uint8_t)(s >> 56);
    }
    return s;
}
static uint8_t got[1 << 20], expected[1 << 20];
int main(int argc, char **argv)
{
    uint64_t (*volatile direct)(uint32_t, uint8_t *, size_t) = pattern;
    static const size_t sizes[] = {1, 100, 5000, 60000, 200000, 900000};
    time_t end = time(NULL) + atoi(argv[1]);
    unsigned long calls = 0, wrong = 0;
    (void)argc;
    for (uint32_t i = 0; time(NULL) < end; i++) {
        uint32_t key = i % 60;
        size_t n = sizes[key % 6];
        uint64_t s = key * 0x9e3779b97f4a7c15ull + 1, r;
        for (size_t k = 0; k < n; k++) {
            s = s * 6364136223846793005ull + 1442695040888963407ull;
            expected[k] = (uint8_t)(s >> 56);
        }
        memset(got, 0, n);
        r = direct(key, got, n);
        wrong += r != s || memcmp(got, expected, n) != 0;
        calls++;
    }
    printf("%lu wrong\n", wrong);
    fprintf(stderr, "%lu calls\n", calls);
    return 0;
}
"""
CONFIG = "tasks:\n  - symbol: pattern\n    prototype: |\n      uint64_t pattern(uint32_t key, out uint8_t out[n], size_t n)\n    cache_policy: INPUTS\n"


def test_targets_while_others_refresh_every_record(t):
    p = t.cc(CHURN, "churn")
    config = t.config("cache: { max_size: 64MiB }\n" + CONFIG)
    seconds = "60" if t.long else "6"
    run = [t.cachectl, "run", "-c", config, "--", p, seconds]
    writer = subprocess.Popen(run, env={**t.env, "TASKCACHE_REFRESH_CACHE": "1"}, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    readers = [subprocess.Popen(run, env=t.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]
    for child in (writer, *readers):
        out, err = child.communicate(timeout=200)
        equal((child.returncode, out), (0, b"0 wrong\n"), err)
    s = t.stats(config)
    if s["hits"] < 100 or s["misses"] < 100:
        raise Failure(f"too little happened: {s['hits']} hits, {s['misses']} misses")
    equal(t.ctl("verify", "-c", config).status, 0)
    assert TESTS.exists()
