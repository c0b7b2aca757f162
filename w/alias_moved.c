extern int q(int);__attribute__((noinline)) int b1(int x){return q(x)*3;}__attribute__((noinline)) int c1(int x){return q(x)*5;}
#if K==1
int a1(int) __attribute__((alias("b1")));int f(int x){return b1(x)+1;}
#else
int a1(int) __attribute__((alias("c1")));int f(int x){return c1(x)+1;}
#endif
