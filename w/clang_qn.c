__attribute__((noinline)) static int g(const int *x, int n, int k)
{ int s = 0; for (int i = 0; i < n; i++) s += x[i] * k; return s; }
int f(const int *x, int n) { return g(x, n, K+4); }
int f2(const int *x, int n) { return g(x, n + 1, K+4) + 1; }
