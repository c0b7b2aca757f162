extern int h(const void*);static const char A[1]={0},B[1]={0};int f(int i){return h(K==1?A:B);} int g(void){return h(A)+2*h(B);}
int main(){return 0;}
