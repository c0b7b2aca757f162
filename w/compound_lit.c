struct r{int n;const char*const*s;};
#if K==1
#define T "bb"
#else
#define T "bB"
#endif
static const struct r rs[]={{2,(const char*const[]){"a",T}},{1,(const char*const[]){"c"}}};const char*f(long i,long k){return rs[i].s[k];}
int main(){return 0;}
