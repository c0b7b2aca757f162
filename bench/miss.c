/*
 * miss BYTES ROUNDS PAUSE_US FIRST: what a miss with BYTES of output costs the caller beyond the
 * function, beside a message of as many bytes to another process and its answer (small) or writing
 * the bytes into a memfd (large). Between calls the program sleeps for PAUSE_US, so that the
 * service sleeps too. FIRST: the first argument, never used before.
 */
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/bench.h"

enum {
    LARGE = 65536,
};

static unsigned long bodies;

BENCH_FUNCTION void task(unsigned x, size_t n, unsigned char *out);
BENCH_FUNCTION void plain(unsigned x, size_t n, unsigned char *out);

/* The shortest function that writes all its output isn't free, so that it is timed by itself. Of a
 * large output it writes one word a page. */
static inline __attribute__((always_inline)) void body(unsigned x, size_t n, unsigned char *out)
{
    bodies++;
    if (n < LARGE)
        memset(out, (int)x, n);
    else
        for (size_t i = 0; i < n; i += 4096)
            memcpy(out + i, &x, sizeof x);
}

void task(unsigned x, size_t n, unsigned char *out)
{
    body(x, n, out);
}

void plain(unsigned x, size_t n, unsigned char *out)
{
    body(x, n, out);
}

/* A process that answers each message by a short one. */
static int start_echo(void)
{
    int pair[2];
    char message[LARGE];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) < 0)
        abort();
    if (fork() == 0) {
        (void)close(pair[0]);
        while (read(pair[1], message, sizeof message) > 0)
            if (write(pair[1], message, 64) != 64)
                break;
        _exit(0);
    }
    (void)close(pair[1]);
    return pair[0];
}

static void send_and_wait(int fd, const unsigned char *bytes, size_t n)
{
    char answer[64];

    if (write(fd, bytes, n) != (ssize_t)n || read(fd, answer, sizeof answer) != sizeof answer)
        abort();
}

static void write_memfd(const unsigned char *bytes, size_t n)
{
    int fd = memfd_create("bench", MFD_CLOEXEC);

    for (size_t done = 0; done < n;) {
        ssize_t w = pwrite(fd, bytes + done, n - done, (off_t)done);
        if (w <= 0)
            abort();
        done += (size_t)w;
    }
    (void)close(fd);
}

static void pause_us(unsigned us)
{
    if (us != 0)
        (void)usleep(us);
}

int main(int argc, char **argv)
{
    static struct bench_series miss = {"miss"}, function = {"plain"}, other = {"other"};
    size_t n;
    unsigned rounds, pause, first;
    unsigned char *out;
    int echo;

    if (argc != 5)
        return 2;
    n = bench_number(argv[1]);
    rounds = bench_number(argv[2]);
    pause = bench_number(argv[3]);
    first = bench_number(argv[4]);
    out = bench_memory(n);
    echo = n < LARGE ? start_echo() : -1;
    for (unsigned i = 0; n < LARGE && i < 40; i++) /* behind the first calls, which look twice */
        task(first++, n, out);
    bodies = 0;
    for (unsigned i = 0; i < rounds; i++) {
        double start;
        pause_us(pause);
        start = bench_now();
        task(first + i, n, out);
        bench_add(&miss, start, 1);
        start = bench_now();
        plain(first + i, n, out);
        bench_add(&function, start, 1);
        pause_us(pause);
        start = bench_now();
        if (echo >= 0)
            send_and_wait(echo, out, n);
        else
            write_memfd(out, n);
        bench_add(&other, start, 1);
    }
    bench_expect("while measuring", bodies, 2ul * rounds);
    bench_print(&miss);
    bench_print(&function);
    bench_print(&other);
    return 0;
}
