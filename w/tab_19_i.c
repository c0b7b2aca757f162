static const int tab[8]={1,2,3,4,5,K,7,8};static const int y[80]={9,9,9};__attribute__((noinline)) int f(long i){return tab[40-i];}int g(int i){return y[i];}
int main(){return 0;}
