__attribute__((visibility("hidden"))) __thread int a=1,b=1;int *addr(void){return K==1?&a:&b;}
int f(void){return K==1?a:b;}