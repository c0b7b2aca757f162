struct __attribute__((packed)) S{char c;const char*s;};
#if K==1
#define T "beta"
#else
#define T "betA"
#endif
static const struct S s[3]={{1,"alpha"},{2,T},{3,"gamma"}};const char*f(long i){return s[i].s;}
int main(){return 0;}
