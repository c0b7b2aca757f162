/*
 * What functions refer to, in all ways that compilers have for it: for test_source.c, which
 * compiles this with changes, moves it about, and asks for digests of the functions f_*. M(n, a, b)
 * is b in a build with change n.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef PRE
const char *pre_names[] = {"pre one", "pre two", "pre 3"};
static const int pre_tab[24] = {9, 8, 7};
__attribute__((noinline)) int pre(int x)
{
    if (x > 3)
        puts("another string");
    switch (x) {
    case 0:
        return 4;
    case 1:
        puts("q");
        return 5;
    case 2:
        return pre_tab[x];
    case 3:
        puts(pre_names[x]);
        return 9;
    case 4:
        puts("zz");
        return 77;
    case 5:
        return x * 3;
    }
    return x * 17;
}
#endif
#ifndef CHANGED
#define CHANGED 0 /* a bit a change, as the test numbers them */
#endif
#define M(n, a, b) __builtin_choose_expr((CHANGED >> (n)) & 1, b, a)
#define NI         __attribute__((noinline))
#define NC         __attribute__((noinline, noclone))
#if defined(__clang__)
#undef NC
#define NC __attribute__((noinline))
#endif
static const int tab[8] = {65, 20, 30, 40, 50, M(1, 60, 61), 70, 80};
static const char nm[3][8] = {"alpha", M(2, "beta", "betA"), "gamma"};
static const char *const names[] = {"one", "two", M(3, "three", "threE"), "four"};
static const double k = M(4, 1.5, 2.5);
static int counter = 0;
int gvar = 3;
static double scale_tab[4] = {1, 2, M(5, 3, 4), 4};
NC static int helper(int x)
{
    __asm__ volatile("");
    return x + M(6, 1, 2);
}
NC static int other(int x)
{
    __asm__ volatile("");
    return x + 3;
}
NI int f_tab(int i)
{
    return tab[i];
}
NI int f_tabm(int i)
{
    return tab[i - 1];
}
NI int f_sum(void)
{
    int s = 0;
    for (const int *p = tab; p < tab + 8; p++)
        s += *p * s + 1;
    return s;
}
NI const char *f_nm(int i)
{
    return nm[i];
}
NI const char *f_nm1(void)
{
    return nm[1];
}
NI const char *f_names(int i)
{
    return names[i];
}
NI double f_k(double x)
{
    return x * k + M(7, 3.25, 3.5);
}
NI float f_kf(float x)
{
    return x * (float)k;
}
NI int f_counter(int i)
{
    counter += i;
    return counter + gvar;
}
NI double f_scale(int i)
{
    return scale_tab[i & 3]++;
}
NI int f_helper(int x)
{
    return M(8, helper, other)(x) * 2;
}
NI void f_puts(void)
{
    puts(M(9, "hello world", "hello World"));
}
NI const char *f_sw(int x)
{
    switch (x) {
    case 0:
        return "zero";
    case 1:
        return "uno";
    case 2:
        return M(10, "dos", "doS");
    case 3:
        return "tres";
    case 4:
        return "cuatro";
    case 5:
        return "cinco";
    }
    return "otro";
}
NI int f_jump(int x, int y)
{
    switch (x) {
    case 0:
        return M(11, y * 3, y * 5);
    case 1:
        putchar('a');
        return y;
    case 2:
        return y / (x + 7);
    case 3:
        y ^= 77;
        putchar('c');
        return y * y;
    case 4:
        putchar('d');
        return 11;
    case 5:
        return M(12, y + 7, y - 7);
    case 6:
        exit(3);
    }
    return -1;
}
NI int f_cmp(const char *s)
{
    return strcmp(s, M(13, "world", "World"));
}
NI void f_err(void)
{
    fprintf(stderr, "x %d %s", gvar, M(14, "suffix world", "suffix World"));
}
static int (*const ops[])(int) = {helper, M(15, other, helper), abs};
NI int f_ops(int i, int x)
{
    return ops[i](x);
}
NI int f_rec(int x)
{
    return x < 2 ? M(16, 1, 2) : f_rec(x - 1) * f_rec(x - 2);
}
__thread int tls_a = 1;
static __thread int tls_b = M(17, 2, 3);
NI int f_tls(void)
{
    return tls_b++ + M(18, tls_a, tls_b);
}
NI int f_libc(double x)
{
    return (int)(M(19, sin, cos)(x));
}
NI int f_const(int x)
{
    return x * M(20, 12345, 12346) + 4194304;
}
static const struct {
    int a;
    const char *s;
} recs[] = {{1, "rec1"}, {2, "rec2"}, {M(21, 3, 4), M(22, "rec3", "recX")}};
NI const char *f_recs(int k)
{
    for (unsigned i = 0; i < 3; i++)
        if (recs[i].a == k)
            return recs[i].s;
    return 0;
}
NI const int *f_end(void)
{
    return tab + 8;
}
NI int f_local(int i)
{
    const char l[4][4] = {"abc", "def", M(23, "ghi", "ghI"), "jkl"};
    char m[4][4];
    memcpy(m, l, sizeof m);
    m[i & 3][0]++;
    return m[(i + 1) & 3][1] + strlen(m[i & 3]);
}
#ifdef POST
static const int post_tab[16] = {5, 4, 3};
NI int post(int x)
{
    printf("posted %d", post_tab[x]);
    return x;
}
#endif
int main(int c, char **v)
{
#ifdef PRE
    pre(c);
#endif
    printf("%d %d %d %s %s %s %f %f %d %f %d %s %d %d %d %d %d %d %d %s %p %d\n", f_tab(c),
           f_tabm(c), f_sum(), f_nm(c), f_nm1(), f_names(c), f_k(c), f_kf(c), f_counter(c),
           f_scale(c), f_helper(c), f_sw(c), f_jump(c, c + 1), f_cmp(v[0]), f_ops(c, c), f_rec(c),
           f_tls(), f_libc(c), f_const(c), f_recs(c), f_end(), f_local(c));
    f_puts();
    f_err();
#ifdef POST
    post(c);
#endif
    return 0;
}
