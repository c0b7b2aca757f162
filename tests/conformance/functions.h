/*
 * The functions that the cases call, for the server in calls.c.
 */
#ifndef TESTS_CONFORMANCE_FUNCTIONS_H
#define TESTS_CONFORMANCE_FUNCTIONS_H

#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>

extern struct behaviour {
    int failing;     /* f, nth and text return their error */
    int given_errno; /* before each call */
    int kill_in_body, kill_after;
} now;

extern jmp_buf before;  /* where `jumps` goes */
extern jmp_buf outside; /* ... and `escapes` */

struct thing;
struct padded {
    char c;
    int n;
};

int f(int x);
int g(int x);
int two(int x, int debug);
int none(void);
int ignores(int x);
double third(double x);
int nth(int x);
void bump(uint8_t *b, size_t n);
void fill(int x, uint8_t *b, size_t n);
void large(int x, uint8_t *b);
int liar(uint8_t *b, size_t n);
long sum(const int *v, size_t n);
size_t text(const char *s);
char *made(int x);
int gives(int x, int **block);
const char *own(int x);
int opaque(struct thing *p);
int padded(const struct padded *s);
int zero(int x);
char *into(char *b);
size_t empty(uint8_t *b, size_t cap);
int sets_errno(int x);
int meet(int x);
int late(int s);
int jumps(int x);
int slow(int x);
int rec(int x);
int calls(int x);
int flow(int x);
int inner(int x);
int outer(int x);
int attempt(int x, int bad);
int retries(int x);
int child_works(int x);
int escapes(int x);
int threads(int x);
int forks(int x);
int other_stack(int x);
int deep(int x);

#endif
