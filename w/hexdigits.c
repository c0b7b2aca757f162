#if K==1
#define S "0123456789abcdef"
#else
#define S "0123X56789abcdef"
#endif
int f(long i){return S[15-i];}
int main(){return 0;}
