struct s{int n;int v[];};static const struct s s={3,{1,2,K}};__attribute__((noinline)) int f(long i){return s.v[i];}
int main(){return 0;}
